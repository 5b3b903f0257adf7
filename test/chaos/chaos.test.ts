import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { runInTest } from "./run.ts";
import { kills } from "./scenarios/kills.ts";

describeRealRedis("chaos", () => {
  test("20 s of kills: nothing is lost, repeated, stuck or out of order", { timeout: 240_000 }, async () => {
    const { harm, figures } = await runInTest(kills, { seed: 7, seconds: 20, count: 200 });
    expect(harm).toEqual([]);
    expect(figures).toMatchObject({ acknowledged: 200, effects: 400 });
    expect(figures["kills"]).toBeGreaterThan(3);
  });
});
