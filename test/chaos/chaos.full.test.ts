import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { runInTest, skipIfItDidNotRun } from "./run.ts";
import { kills } from "./scenarios/kills.ts";
import { power } from "./scenarios/power.ts";
import { proxy } from "./scenarios/proxy.ts";
import { queues } from "./scenarios/queues.ts";
import { zombies } from "./scenarios/zombies.ts";

/** Room for a machine on which a process needs ten seconds to start. */
const timeout = 280_000;

describeRealRedis("chaos, two minutes of it", () => {
  test("kills of any process", { timeout }, async () => {
    const { harm } = await runInTest(kills, { seed: 11, seconds: 25, count: 300 });
    expect(harm).toEqual([]);
  });

  test("zombies that write late", { timeout }, async () => {
    const { harm, figures } = await runInTest(zombies, { seed: 12, seconds: 20, count: 200 });
    expect(harm).toEqual([]);
    expect(figures).toMatchObject({ zombies: 200, refused: 200 });
  });

  test("a network that fails in every way", { timeout }, async () => {
    const { harm } = await runInTest(proxy, { seed: 13, seconds: 20 });
    expect(harm).toEqual([]);
  });

  test("power cuts of a Redis that syncs always", { timeout }, async ({ skip }) => {
    const outcome = await runInTest(power, { seed: 14, seconds: 20, count: 6 });
    skipIfItDidNotRun(outcome, skip);
    expect(outcome.harm).toEqual([]);
    expect(outcome.figures).toMatchObject({ cuts: 6 });
  });

  test("keys of BullMQ deleted and spoilt", { timeout }, async () => {
    const { harm } = await runInTest(queues, { seed: 15, seconds: 20, count: 40 });
    expect(harm).toEqual([]);
  });
});

describeRealRedis("controls: with its defence switched off each scenario finds harm", () => {
  test("effects on a world that ignores keys", { timeout }, async () => {
    const { harm } = await runInTest(kills, { seed: 3, seconds: 15, count: 150, isControl: true });
    expect(harm.join("\n")).toContain("applied twice");
  });

  test("results written without an epoch", { timeout }, async () => {
    const { harm } = await runInTest(zombies, { seed: 6, seconds: 20, count: 20, isControl: true });
    expect(harm.join("\n")).toContain("completed twice");
  });

  test("calls repeated without an idempotency key", { timeout }, async () => {
    const { harm } = await runInTest(proxy, { seed: 4, seconds: 30, isControl: true });
    expect(harm.join("\n")).toContain("doubled");
  });

  test("power cuts of a Redis that syncs every second", { timeout }, async ({ skip }) => {
    const outcome = await runInTest(power, { seed: 4, seconds: 20, count: 4, isControl: true });
    skipIfItDidNotRun(outcome, skip);
    expect(outcome.harm.join("\n")).toContain("lost");
  });

  test("jobs with no log behind them", { timeout }, async () => {
    const { harm } = await runInTest(queues, { seed: 9, seconds: 20, isControl: true });
    expect(harm.join("\n")).toContain("lost");
  });
});
