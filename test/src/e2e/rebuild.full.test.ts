import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { describeRealRedis, until } from "@flotilla/testkit";
import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { flotilla, jsonLines } from "./flotilla.ts";
import { inTurn, planOf, probe, together } from "./plans.ts";
import { idempotentSteps } from "./work.ts";

/** A thousand by `npm run rebuild-thousand`. */
const workflows = Number(process.env.REBUILD_WORKFLOWS ?? 150);

/** Four tasks of three steps. */
const effectsOfOne = 12;

describeRealRedis("a total loss of Redis", () => {
  let fleet: Fleet;
  const start = async (env: Record<string, string>) => {
    fleet = await Fleet.start({
      args: onlyProbes(2),
      env: { AGENT_CONCURRENCY: "20", REDIS_DURABILITY: "archive", ...env },
    });
  };
  afterEach(() => fleet.dispose());

  /**
   * Fans out, does things outside, in one of three fails and waits for its next attempt. One in ten waits for a signal at
   * its beginning, the others do at their end, so that all are live.
   */
  function plan(n: number) {
    const waits = { awaitSignal: "go" };
    const isParked = n % 10 === 0;
    const steps = idempotentSteps(3, 20);
    const fails = n % 3 === 0 ? { fail: [{ attempt: 1, class: "transient" }] } : {};
    return planOf(
      inTurn("first", [probe("a", { steps, output: n, ...(isParked && waits) })]),
      together("second", [
        probe("b", { steps, ...fails }, { retry: { attempts: 3, backoffMs: 3000 } }),
        probe("c", { steps, sleepMs: 1000 }),
        probe("d", { steps }),
      ]),
      inTurn("third", [probe("e", { output: "{{tasks.a.output.output}}", ...(!isParked && waits) })]),
    );
  }

  test.each([
    { where: "files", env: {} },
    { where: "Object Storage, the local server", env: { OCI_AUTH: "local" } },
  ])("archived in $where every acknowledged workflow is back and ends, and nothing is done twice", async ({ env }) => {
    await start(env);
    const submits = Array.from({ length: workflows }, (_, n) => fleet.client.submit(plan(n)));
    const ids = (await Promise.all(submits)).map(({ id }) => id);
    const limit = Math.ceil(workflows / 20);
    const areParked = async () => (await fleet.client.list({ status: "waiting", limit })).workflows.length === limit;
    await until(areParked, { timeoutMs: 200_000, what: "workflows that wait for a signal" });
    const files = () => readdir(fleet.ready.dataDir, { recursive: true });
    // The local server names its files by hash.
    const copy = createHash("sha256").update("keys/api.json").digest("hex");
    await until(async () => (await files()).some((file) => file.includes("api.json") || file.includes(copy)), {
      what: "the copy of the API keys",
    });
    const redis = new Redis(fleet.ready.redis.url);
    await redis.flushall();
    redis.disconnect();
    const lostAt = performance.now();

    const options = { cwd: fleet.ready.dataDir };
    const ended = await flotilla(["rebuild", "--json", "--data-dir", fleet.ready.dataDir], options);
    const [report] = jsonLines(ended);
    expect(report).toMatchObject({ unreadable: [], keys: 2 });
    expect(Number(report?.["open"]) + Number(report?.["present"])).toBe(workflows);
    const backAfter = (performance.now() - lostAt) / 1000;
    for (const id of ids) await fleet.client.signal(id, { name: "go" });
    const views = [];
    for (const id of ids) views.push(await fleet.client.wait(id, { pollMs: 500 }));
    expect(views.map(({ status }) => status)).toEqual(Array(workflows).fill("completed"));
    expect(views.map(({ result }) => Object(result).output)).toEqual(views.map((_, n) => n));
    const seconds = (performance.now() - lostAt) / 1000;
    console.log(
      `${workflows} workflows were back ${backAfter.toFixed(1)} s after the loss, and at their end ${seconds.toFixed(1)} s ` +
        `after it: ${ended.stdout}`,
    );
    const applied = (await fleet.effects()).filter((effect) => effect.applied);
    expect(applied).toHaveLength(workflows * effectsOfOne);
    expect(new Set(applied.map(({ key }) => key)).size).toBe(applied.length);
  });

  test("a Redis with live workflows is not rebuilt unless told to, and one without an archive finds nothing", async () => {
    await start({});
    await fleet.client.submit(planOf(together("p", [probe("a", { sleepMs: 60_000 })])));
    const rebuild = (...args: string[]) =>
      flotilla(["rebuild", "--json", "--data-dir", fleet.ready.dataDir, ...args], { cwd: fleet.ready.dataDir });
    const refused = await rebuild();
    expect(refused).toMatchObject({ code: 78, stdout: "" });
    expect(refused.stderr).toContain("1 live workflow");
    expect(refused.stderr).toContain("--force");
    expect(jsonLines(await rebuild("--force"))).toMatchObject([{ found: 1, present: 1, open: 0 }]);
  });
});
