import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, together } from "./plans.ts";
import { terminateAtRandom } from "./terminations.ts";
import { idempotentSteps } from "./work.ts";

/** What each process has to end in. */
const graceMs = 10_000;

describeRealRedis("SIGTERM", () => {
  let redis: TestRedis;
  let fleet: Fleet;
  beforeAll(async () => {
    redis = await startRedis({ appendfsync: "always" });
  });
  beforeEach(async () => {
    fleet = await Fleet.start({ args: onlyProbes(), env: { REDIS_URL: redis.url } });
  }, 60_000);
  afterEach(async () => {
    redis.resume();
    await fleet.dispose();
  });
  afterAll(() => redis.stop());

  /** Signals a process of each role, and resolves with how they ended. */
  async function terminateAll(): Promise<{ role: string; code: number | null; tookMs: number }[]> {
    const startedAt = Date.now();
    const asked = (["api", "supervisor", "agent"] as const).map((role) => {
      const [pid] = fleet.pids(role);
      if (pid === undefined) throw new Error(`no process of role ${role}`);
      process.kill(pid, "SIGTERM");
      return { role, pid };
    });
    return Promise.all(
      asked.map(async ({ role, pid }) => {
        const find = () => fleet.changes.find((change) => change.event === "exit" && change.pid === pid);
        const exit = await until(find, { timeoutMs: graceMs + 5000, what: `the end of the ${role}` });
        return { role, code: exit.event === "exit" ? exit.code : null, tookMs: Date.parse(exit.at) - startedAt };
      }),
    );
  }

  const aways: [string, () => Promise<void> | void, () => Promise<void> | void][] = [
    ["silent", () => redis.pause(), () => redis.resume()],
    ["gone", () => redis.kill(), () => redis.restart()],
  ];

  test.each(aways)(
    "with Redis %s every process ends within its grace, and the work goes on when it is back",
    { timeout: 120_000 },
    async (_, away, back) => {
      const task = probe("a", { steps: idempotentSteps(2, 10), sleepMs: 4000, output: "done" });
      const { id } = await fleet.client.submit(planOf(together("p", [task])));
      for await (const { type } of fleet.client.events(id, { follow: true })) if (type === "task.started") break;
      await away();
      const ends = await terminateAll();
      await back();
      for (const { role, code, tookMs } of ends) {
        expect([role, code]).toEqual([role, 0]);
        expect(tookMs, role).toBeLessThan(graceMs);
      }
      // The parent starts them again, and again for as long as they find no Redis.
      await until(() => fleet.client.get(id), { timeoutMs: 60_000, what: "the API" });
      const view = await fleet.client.wait(id, { signal: AbortSignal.timeout(60_000) });
      expect(view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });
    },
  );

  test("six times at random moments: no attempt is spent, and no effect repeated", { timeout: 120_000 }, async () => {
    await fleet.dispose();
    fleet = await Fleet.start({ args: onlyProbes(3), env: { REDIS_URL: redis.url, AGENT_CONCURRENCY: "2" } });
    await terminateAtRandom(fleet, 6);
  });
});
