import { createLogger, createMetrics, type Metrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FleetNumbers } from "../src/fleet-numbers.ts";
import { Supervisor } from "../src/supervisor.ts";
import { phase, planOf, task, TestFleet } from "./fleet.ts";

const logger = createLogger({ role: "test", level: "silent" });

/** Value of each series of a metric, by the text of its labels. */
async function series(metrics: Metrics, name: string): Promise<Map<string, number>> {
  const text = await metrics.registry.metrics();
  const lines = text.matchAll(new RegExp(`^${name}(\\{.*\\})? (\\S+)$`, "gm"));
  return new Map(Array.from(lines, ([, labels = "", value]) => [labels, Number(value)]));
}

async function sum(all: readonly Metrics[], name: string, labels = ""): Promise<number> {
  const values = await Promise.all(all.map(async (metrics) => (await series(metrics, name)).get(labels) ?? 0));
  return values.reduce((total, value) => total + value, 0);
}

describeRealRedis("metrics of several supervisors", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  const supervisors = [createMetrics(), createMetrics(), createMetrics()];
  const running: Supervisor[] = [];
  let numbers: FleetNumbers;

  beforeAll(async () => {
    redis = await startRedis();
    const settings = redisSettingsOf(redis.url);
    fleet = await TestFleet.start({ redis: settings, supervisors: 0, workers: 0 });
    numbers = new FleetNumbers({ redis: settings, logger });
    await numbers.start();
    for (const metrics of supervisors) {
      const limits = { handoffTimeoutMs: 300_000, maxActiveWorkflows: 1000, retentionMs: 3_600_000 };
      const defaults = { attempts: 3, concurrency: 1000 };
      const supervisor = new Supervisor({ redis: settings, defaults, ...limits, metrics, logger });
      await supervisor.start();
      running.push(supervisor);
    }
  });
  afterAll(async () => {
    for (const supervisor of running) await supervisor.stop();
    await numbers.stop();
    await fleet.stop();
    await redis.stop();
  });

  test("what happened is counted once, and what is there is shown by each of them alike", async () => {
    const gate = Promise.withResolvers<void>();
    fleet.acts.set("wait", async () => {
      await gate.promise;
      return { kind: "completed", output: 1 };
    });
    fleet.acts.set("fail", async () => {
      await gate.promise;
      return { kind: "failed", error: { class: "data", code: "bad", message: "is bad" } };
    });
    const workers = [await fleet.addWorker("m1", ["worker"]), await fleet.addWorker("m2", ["worker"])];
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        fleet.submit(planOf(phase("p", [task("a", { act: n < 5 ? "fail" : "wait" })]))),
      ),
    );
    for (const metrics of supervisors) {
      await until(async () => (await series(metrics, "flotilla_active_workflows")).get("") === 20);
      await until(async () => (await series(metrics, "flotilla_queue_backlog")).get('{agent_type="worker"}') === 20);
    }
    const load = (await numbers.loads()).find(({ agentType }) => agentType === "worker");
    expect(load).toEqual({ agentType: "worker", backlog: 20, workers: 1 });
    expect(await numbers.activeWorkflows()).toBe(20);
    gate.resolve();
    await Promise.all(ids.map((id) => fleet.end(id)));
    // The log tells of the end before the supervisor that decided it has counted it.
    await until(async () => (await sum(supervisors, "flotilla_workflow_duration_seconds_count")) >= 20);
    const outcome = (name: string) =>
      sum(workers, "flotilla_agent_executions_total", `{agent_type="worker",outcome="${name}"}`);
    await until(async () => (await outcome("completed")) + (await outcome("failed")) >= 20);
    expect([await outcome("completed"), await outcome("failed")]).toEqual([15, 5]);
    expect(await sum(supervisors, "flotilla_workflow_duration_seconds_count")).toBe(20);
    for (const metrics of supervisors) {
      await until(async () => (await series(metrics, "flotilla_active_workflows")).get("") === 0);
      await until(async () => (await series(metrics, "flotilla_queue_backlog")).get('{agent_type="worker"}') === 0);
    }
  });

  const fleetWide = ["active_workflows", "due_lag_seconds", "queue_backlog", "queue_depth", "open_items"];

  test("a supervisor that lost Redis shows no old number of the fleet, and the new ones when it has it back", async () => {
    const shown = async () => {
      const sizes = fleetWide.map(async (name) =>
        Promise.all(supervisors.map(async (metrics) => (await series(metrics, `flotilla_${name}`)).size)),
      );
      return (await Promise.all(sizes)).flat();
    };
    await until(async () => (await shown()).every((size) => size > 0));
    await redis.kill();
    // Who scales by it must not take silence for an empty queue.
    await expect(numbers.loads()).rejects.toThrow();
    await until(async () => (await shown()).every((size) => size === 0), { timeoutMs: 60_000 });
    await redis.restart();
    await until(async () => (await shown()).every((size) => size > 0), { timeoutMs: 60_000 });
  });
});
