import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import { afterEach, beforeEach, test } from "vitest";
import { TestFleet } from "./fleet.ts";
import { expectNothingLeft, failOnce, liveThrough } from "./retention.ts";

describeRealRedis("retention", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeEach(async () => {
    redis = await startRedis();
    // Long enough for a slow machine to retry and to fork before it is over.
    const retention = { retentionMs: 5000, idempotencyMs: 5000 };
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), ...retention });
    failOnce(fleet);
  });
  afterEach(async () => {
    await fleet.stop();
    await redis.stop();
  });

  test("of what was retried and forked nothing is left, nor of its idempotency keys", async () => {
    const ids = await Promise.all([1, 2, 3].map((n) => liveThrough(fleet, n)));
    await expectNothingLeft(fleet, ids.flat(), 25_000);
  });
});
