import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";

/** Connections of one process, as docs/operations/redis.md has them. */
const perProcess = { api: 2, supervisor: 4, agent: 4 };

describeRealRedis("the connections of a fleet", () => {
  let redis: TestRedis;
  let client: Redis;
  beforeAll(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  test("are a number for each process, whatever its agent type, however many types there are", async () => {
    const agents = "planner=1,research=2,analysis=1,execution=0,review=1,probe=1";
    const fleet = await Fleet.start({ args: ["--agents", agents], env: { REDIS_URL: redis.url } });
    try {
      const workers = fleet.pids("agent").length;
      expect(workers).toBe(6);
      const tasks = ["a", "b", "c"].map((id) => ({ id, agent: "probe", input: { steps: [{ tool: "pure" }] } }));
      const plan = { phases: [{ name: "p", parallel: true, tasks }] };
      const { id } = await fleet.client.submit({ input: "work", plan });
      await fleet.client.wait(id, { signal: AbortSignal.timeout(30_000) });
      const expected = perProcess.api + perProcess.supervisor + workers * perProcess.agent;
      const count = async () => {
        const list = await client.client("LIST", "TYPE", "NORMAL");
        const subscribers = await client.client("LIST", "TYPE", "PUBSUB");
        // Less the one that asks. What a process opens to look at its Redis before it starts is closed by then.
        return `${list}${subscribers}`.split("\n").filter((line) => line.startsWith("id=")).length - 1;
      };
      await until(async () => (await count()) === expected, { what: `${expected} connections` });
    } finally {
      await fleet.dispose();
    }
  });
});
