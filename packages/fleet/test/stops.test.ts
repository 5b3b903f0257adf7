import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis } from "@flotilla/testkit";
import { test } from "vitest";
import { TestFleet } from "./fleet.ts";
import { stopAtRandom } from "./stops.ts";

describeRealRedis("stopping workers at random moments", () => {
  test("twenty times: no attempt is spent, and each stop costs a step at most", { timeout: 120_000 }, async () => {
    const redis = await startRedis();
    const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), workers: 0 });
    await stopAtRandom(fleet, 20);
    await fleet.stop();
    await redis.stop();
  });
});
