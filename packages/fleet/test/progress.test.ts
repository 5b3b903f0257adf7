import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, until } from "@flotilla/testkit";
import { afterEach, expect, test, vi } from "vitest";
import { Reconciler } from "../src/reconcile.ts";
import { TestFleet } from "./fleet.ts";

describeRealRedis("the health of a supervisor", () => {
  afterEach(() => vi.restoreAllMocks());

  test("is bad when its loop does not turn any more, and good while it turns from refusal to refusal", async () => {
    const redis = await startRedis();
    const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), supervisors: 0, workers: 0 });
    const supervisor = await fleet.addSupervisor();
    expect(supervisor.check().ok).toBe(true);
    const now = performance.now.bind(performance);
    const later = () => vi.spyOn(performance, "now").mockImplementation(() => now() + 60_000);

    const refused = vi.spyOn(Reconciler.prototype, "sweep").mockRejectedValue(new Error("Connection is closed."));
    await until(() => refused.mock.calls.length > 2);
    later();
    // It turns once more in the time that has passed.
    await until(() => supervisor.check().ok);

    const stuck = Promise.withResolvers<void>();
    const hung = vi.spyOn(Reconciler.prototype, "sweep").mockReturnValue(stuck.promise);
    await until(() => hung.mock.calls.length > 0);
    vi.spyOn(performance, "now").mockImplementation(() => now() + 120_000);
    await until(() => !supervisor.check().ok);
    expect(supervisor.check().detail).toContain("the loop last turned");
    stuck.resolve();
    vi.restoreAllMocks();
    await fleet.stop();
    await redis.stop();
  });
});
