import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestFleet } from "./fleet.ts";
import { expectNothingLeft, failOnce, liveThrough } from "./retention.ts";

const batches = 4;
const batch = 250;

describeRealRedis("retention", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeEach(async () => {
    redis = await startRedis();
    const retention = { retentionMs: 20_000, idempotencyMs: 20_000 };
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), ...retention });
    failOnce(fleet);
  });
  afterEach(async () => {
    await fleet.stop();
    await redis.stop();
  });

  /** What is ours in Redis, and its memory; keys of BullMQ come and go by the second, such as its checks of stalled jobs. */
  async function measured(): Promise<{ keys: string[]; bytes: number }> {
    const [, bytes] = /^used_memory:(\d+)/m.exec(await fleet.connection.info("memory")) ?? [];
    const keys = (await fleet.keys("")).filter((key) => /^\{(s\d\d|fleet)\}/.test(key));
    return { keys: keys.toSorted(), bytes: Number(bytes) };
  }

  test("keys and memory are flat over thousands of workflows, retried and forked ones among them", async () => {
    const after: { keys: string[]; bytes: number }[] = [];
    for (let n = 0; n < batches; n++) {
      const ids = await Promise.all(Array.from({ length: batch }, (_, place) => liveThrough(fleet, n * batch + place)));
      await expectNothingLeft(fleet, ids.flat(), 120_000);
      after.push(await measured());
    }
    // The first batch makes what stays: scripts, queues, agent types. A batch that stayed would be more than all of it.
    const [, first, ...later] = after;
    const sizes = JSON.stringify(after.map(({ bytes }) => bytes));
    for (const { keys, bytes } of later) {
      expect(keys).toEqual(first?.keys);
      expect(bytes, sizes).toBeLessThan(1.3 * (first?.bytes ?? 0));
    }
  });
});
