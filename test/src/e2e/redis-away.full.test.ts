import { join } from "node:path";
import { describeRealRedis, startProcess, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { workspace } from "./flotilla.ts";
import { planOf, probe, together } from "./plans.ts";

describeRealRedis("Redis away", () => {
  let redis: TestRedis;
  let fleet: Fleet;
  beforeAll(async () => {
    redis = await startRedis({ appendfsync: "always" });
    const env = { REDIS_URL: redis.url, REDIS_DURABILITY: "standard" };
    fleet = await Fleet.start({ args: onlyProbes(), env });
  }, 60_000);
  afterAll(async () => {
    redis.resume();
    await fleet.dispose();
    await redis.stop();
  });

  /** What each process says, as `role status`; the API on its own port, the others on that of their metrics. */
  async function said(path: "health" | "ready"): Promise<string> {
    const places = fleet.ready.processes.map(({ role, metricsUrl }) => ({
      role,
      url: role === "api" || metricsUrl === undefined ? fleet.ready.url : new URL(metricsUrl).origin,
    }));
    const statuses = places.map(async ({ role, url }) => `${role} ${(await fetch(`${url}/${path}`)).status}`);
    return (await Promise.all(statuses)).toSorted().join();
  }

  const all = (status: number) => `agent ${status},api ${status},supervisor ${status}`;

  async function untilReady(status: number): Promise<void> {
    let last = "";
    await until(async () => (last = await said("ready")) === all(status), { timeoutMs: 20_000 }).catch(() => undefined);
    expect(last).toBe(all(status));
  }

  test(
    "every process says that it lives and is not ready, and none is restarted; back, all are ready and work goes on",
    { timeout: 90_000 },
    async () => {
      await untilReady(200);
      redis.pause();
      await untilReady(503);
      // Longer than it takes to begin reading anew, were that mistaken for a reader that stands still.
      const startedAt = performance.now();
      while (performance.now() - startedAt < 12_000) expect(await said("health")).toBe(all(200));
      redis.resume();
      const { id } = await until(() => fleet.client.submit(planOf(together("p", [probe("a")]))), { timeoutMs: 20_000 });
      expect(await fleet.client.wait(id)).toMatchObject({ status: "completed" });
      await untilReady(200);
      expect(fleet.changes).toEqual([]);
    },
  );

  test("a Redis that would lose work is refused by each process with 78 and a list", { timeout: 60_000 }, async () => {
    const evicting = await startRedis({ extraArgs: ["--maxmemory-policy", "allkeys-lru"] });
    const env = { REDIS_URL: evicting.url, REDIS_DURABILITY: "standard", PORT: "0", METRICS_PORT: "0" };
    await Promise.all(
      ["api", "supervisor", "agent"].map(async (app) => {
        const main = join(workspace, "apps", app, "src/main.ts");
        const started = startProcess({ main, env: { ...env, AGENT_TYPE: "research" }, readyTimeoutMs: 45_000 });
        const error: Error = await started.then(
          () => new Error("it started"),
          (reason: Error) => reason,
        );
        expect(error.message).toContain("bad configuration:\n  redis-durability of 127.0.0.1:");
        expect(error.message).toMatch(/redis-eviction of \S+: allkeys-lru \(set maxmemory-policy noeviction/);
        expect(String(error.cause)).toContain("it ended with 78");
      }),
    );
    await evicting.stop();
  });
});
