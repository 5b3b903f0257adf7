import { createMetrics } from "@flotilla/runtime";
import { expect, test } from "vitest";
import { measurementsOfGauges, measurementsOfMinute, quantileOf } from "../src/monitoring/measurements.ts";
import { countsOf, gaugesOf } from "../src/monitoring/series.ts";

test("of a minute go out increases, means, and what the rules of Prometheus are named for", async () => {
  const metrics = createMetrics();
  metrics.agentExecutions.inc({ agent_type: "research", outcome: "completed" }, 3);
  metrics.agentExecutions.inc({ agent_type: "research", outcome: "failed" }, 1);
  metrics.agentExecutions.inc({ agent_type: "research", outcome: "held" }, 5);
  metrics.handoffs.inc({ outcome: "completed" }, 9);
  metrics.handoffs.inc({ outcome: "failed" }, 1);
  metrics.recoveryOperations.inc({ strategy: "retry" }, 10);
  for (const seconds of [0.2, 0.2, 40]) metrics.workflowDurationSeconds.observe(seconds);
  const own = await countsOf(metrics);
  const measured = measurementsOfMinute(own, [new Map(), own], 60_000);
  const valueOf = (name: string, dimensions: object = {}) =>
    measured.find((one) => one.name === name && JSON.stringify(one.dimensions) === JSON.stringify(dimensions))?.value;

  const research = { agent_type: "research", outcome: "completed" };
  expect(valueOf("flotilla_agent_executions_total", research)).toBe(3);
  expect(valueOf("flotilla_workflow_duration_seconds_count")).toBe(3);
  expect(valueOf("flotilla_workflow_duration_seconds")).toBeCloseTo(40.4 / 3);
  // As agent_error_rate of infra/prometheus/rules.yml: what was held is no outcome.
  expect(valueOf("agent_error_rate")).toBe(0.25);
  expect(valueOf("handoff_success_rate")).toBe(0.9);
  expect(valueOf("recovery_operations_per_minute")).toBe(5);
  expect(valueOf("workflow_duration_p50")).toBeCloseTo(0.2125);
  expect(valueOf("workflow_duration_p99")).toBeCloseTo(59.1);
  expect(new Set(measured.map(({ at }) => at))).toEqual(new Set([60_000]));
  expect(measured.map(({ name }) => name).filter((name) => name.includes("bucket"))).toEqual([]);
});

test("of a minute in which nothing happened there are no rates", () => {
  const names = measurementsOfMinute(new Map(), [new Map()], 0).map(({ name }) => name);
  expect(names).toEqual(["recovery_operations_per_minute"]);
});

test("of now goes out what a supervisor knows of the fleet, and nothing that it has removed", async () => {
  const metrics = createMetrics();
  metrics.activeWorkflows.set(7);
  metrics.queueDepth.set({ queue: "agent.research", state: "active" }, 4);
  metrics.runningTasks.set({ agent_type: "own" }, 1);
  const measured = measurementsOfGauges(await gaugesOf(metrics), 5);
  expect(measured).toContainEqual({ name: "flotilla_active_workflows", dimensions: {}, value: 7, at: 5 });
  expect(measured.filter(({ name }) => name === "flotilla_running_tasks")).toEqual([
    { name: "flotilla_running_tasks", dimensions: { agent_type: "research" }, value: 4, at: 5 },
  ]);
  expect(measured.map(({ name }) => name)).not.toContain("flotilla_due_lag_seconds");
});

test("a quantile is that of Prometheus: straight within a bucket, the last bound beyond it, none of nothing", () => {
  const buckets = [
    [1, 10],
    [2, 20],
    [Infinity, 40],
  ] as const;
  expect(quantileOf(buckets, 0.25)).toBe(1);
  expect(quantileOf(buckets, 0.375)).toBe(1.5);
  expect(quantileOf(buckets, 0.99)).toBe(2);
  expect(quantileOf([[Infinity, 0]], 0.5)).toBeUndefined();
  expect(quantileOf([], 0.5)).toBeUndefined();
});
