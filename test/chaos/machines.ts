import { describeRealRedis } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { runInTest, skipIfItDidNotRun } from "./run.ts";
import { clock } from "./scenarios/clock.ts";
import { disk } from "./scenarios/disk.ts";
import { cluster, failover } from "./scenarios/failover.ts";

/** Room for a machine on which a process needs ten seconds to start. */
const timeout = 280_000;

describeRealRedis("chaos of machines: masters that are lost, clocks that step, disks that fill", () => {
  test.each([
    { scenario: failover, seed: 5 },
    { scenario: cluster, seed: 6 },
  ])("$scenario.name: a master goes with its replication cut, at strict", { timeout }, async ({ scenario, seed }) => {
    const { harm, figures } = await runInTest(scenario, { seed, seconds: 60, count: 1 });
    expect(harm).toEqual([]);
    // The master had taken what nobody else had: else nothing was put to the test.
    expect(figures).toMatchObject({ failovers: 1, "that forgot writes": 1 });
  });

  test("clocks of processes that step by minutes", { timeout }, async ({ skip }) => {
    const outcome = await runInTest(clock, { seed: 7, seconds: 8 });
    skipIfItDidNotRun(outcome, skip);
    expect(outcome.harm).toEqual([]);
    expect(outcome.figures["faults"]).toBeGreaterThan(1);
  });

  test("full disks of Redis and of blobs", { timeout }, async ({ skip }) => {
    const outcome = await runInTest(disk, { seed: 7, seconds: 20, count: 3 });
    skipIfItDidNotRun(outcome, skip);
    expect(outcome.harm).toEqual([]);
    expect(outcome.figures).toMatchObject({ faults: 3 });
  });
});

describeRealRedis("controls of these: without its defence each scenario finds harm", () => {
  test.each([
    { scenario: failover, seed: 5 },
    { scenario: cluster, seed: 6 },
  ])("$scenario.name at standard", { timeout }, async ({ scenario, seed }) => {
    const { harm } = await runInTest(scenario, { seed, seconds: 60, count: 1, isControl: true });
    expect(harm.join("\n")).toContain("lost");
  });

  test("delays by the clock of the worker", { timeout }, async ({ skip }) => {
    const outcome = await runInTest(clock, { seed: 7, seconds: 10, isControl: true });
    skipIfItDidNotRun(outcome, skip);
    expect(outcome.harm.join("\n")).toContain("early");
  });

  test("a Redis without its file on a full disk", { timeout }, async ({ skip }) => {
    const outcome = await runInTest(disk, { seed: 7, seconds: 20, count: 1, isControl: true });
    skipIfItDidNotRun(outcome, skip);
    expect(outcome.harm.join("\n")).toContain("lost");
  });
});
