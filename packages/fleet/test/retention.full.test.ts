import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestFleet } from "./fleet.ts";
import { expectNothingLeft, failOnce, liveThrough } from "./retention.ts";

const batches = 5;
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

  async function measured(): Promise<{ keys: number; bytes: number }> {
    const [, bytes] = /^used_memory:(\d+)/m.exec(await fleet.connection.info("memory")) ?? [];
    return { keys: (await fleet.keys("")).length, bytes: Number(bytes) };
  }

  test("keys and memory are flat over thousands of workflows, retried and forked ones among them", async () => {
    const after: { keys: number; bytes: number }[] = [];
    for (let n = 0; n < batches; n++) {
      const ids = await Promise.all(Array.from({ length: batch }, (_, place) => liveThrough(fleet, n * batch + place)));
      await expectNothingLeft(fleet, ids.flat(), 120_000);
      after.push(await measured());
    }
    // The first batch makes what stays: scripts, queues, agent types.
    const [, first, ...later] = after;
    for (const { keys, bytes } of later) {
      expect(keys, JSON.stringify(after)).toBeLessThanOrEqual(first?.keys ?? 0);
      expect(bytes, JSON.stringify(after)).toBeLessThan(1.1 * (first?.bytes ?? 0));
    }
  });
});
