import {
  type AgentRecovery,
  type FailureClass,
  FailureClass as Classes,
  fold,
  type Recoverable,
  type RecoveryTable,
  recoveryOf,
  type Strategy,
} from "@flotilla/workflow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { numbered, parallel, planned, task, workflowId } from "./log.ts";

const failure = (failureClass: FailureClass) => ({ class: failureClass, code: "code", message: "message" });
const one: Recoverable = {
  agent: "worker",
  fallback: undefined,
  recovery: {},
  attempt: 1,
  firstAttempt: 1,
  attempts: 2,
  undoes: undefined,
};

describe("what comes after a failed attempt", () => {
  test.each<[FailureClass, first: Strategy, last: Strategy, withFallback: Strategy]>([
    ["transient", "retry", "fail", "fallback"],
    ["rate-limit", "retry", "fail", "fallback"],
    ["unknown", "retry", "fail", "fallback"],
    ["data", "fail", "fail", "fallback"],
    ["critical", "abort", "abort", "abort"],
    ["poison", "fail", "fail", "fail"],
    ["deadline", "fail", "fail", "fail"],
    ["budget", "abort", "abort", "abort"],
    ["cancelled", "fail", "fail", "fail"],
  ])("%s: %s while there are attempts, then %s, with a fallback %s", (failureClass, first, last, withFallback) => {
    const spent = { ...one, attempt: 2 };
    expect(recoveryOf(one, failure(failureClass), {})).toBe(first);
    expect(recoveryOf(spent, failure(failureClass), {})).toBe(last);
    expect(recoveryOf({ ...spent, fallback: "other" }, failure(failureClass), {})).toBe(withFallback);
  });

  test.each<[string, RecoveryTable, AgentRecovery, Strategy]>([
    ["of the task", { unknown: "fail" }, { worker: { unknown: "abort" }, "*": { unknown: "escalate" } }, "fail"],
    ["else of its agent type", {}, { worker: { unknown: "abort" }, "*": { unknown: "escalate" } }, "abort"],
    ["else of all", {}, { worker: { data: "abort" }, "*": { unknown: "escalate" } }, "escalate"],
    ["else the usual one", {}, { other: { unknown: "abort" } }, "retry"],
  ])("the strategy is the one %s", (_, recovery, byAgent, strategy) => {
    expect(recoveryOf({ ...one, recovery }, failure("unknown"), byAgent)).toBe(strategy);
  });

  test("an undo never fails, aborts or falls back by itself: it is tried again, and then a person is asked", () => {
    const undo = { ...one, undoes: "a", recovery: { data: "abort" as const }, fallback: "other" };
    for (const failureClass of Classes.options) {
      const isRetried = ["transient", "rate-limit", "unknown"].includes(failureClass);
      expect(recoveryOf(undo, failure(failureClass), {})).toBe(isRetried ? "retry" : "escalate");
      expect(recoveryOf({ ...undo, attempt: 2 }, failure(failureClass), {})).toBe("escalate");
    }
  });

  test("whatever the tables say, retries end, a fallback is there, and critical is never tried again", () => {
    const strategy = fc.constantFrom<Strategy>("retry", "fallback", "escalate", "fail", "abort");
    const table = fc.record(
      {
        transient: strategy,
        "rate-limit": strategy,
        unknown: strategy,
        data: strategy,
        critical: fc.constantFrom<"escalate" | "abort">("escalate", "abort"),
      },
      { requiredKeys: [] },
    );
    const recoverable = fc.record({
      agent: fc.constantFrom("worker", "other"),
      fallback: fc.constantFrom(undefined, "other"),
      recovery: table,
      attempt: fc.integer({ min: 1, max: 9 }),
      firstAttempt: fc.constant(1),
      attempts: fc.integer({ min: 1, max: 5 }),
      undoes: fc.constantFrom(undefined, "a"),
    });
    fc.assert(
      fc.property(recoverable, fc.constantFrom(...Classes.options), table, (of, failureClass, all) => {
        const next = recoveryOf(of, failure(failureClass), { "*": all });
        if (next === "retry") expect(of.attempt).toBeLessThan(of.attempts);
        if (next === "fallback") expect(of.fallback).toBeDefined();
        if (failureClass === "critical") expect(["escalate", "abort"]).toContain(next);
      }),
    );
  });
});

test("the tables of the fleet stand in the log, so that folding it later gives the same", () => {
  const lines = planned(parallel([task("a")]));
  const recovery = { worker: { transient: "abort" as const } };
  const withTables = lines.map((line) =>
    line.type === "workflow.planned"
      ? { ...line, data: { ...line.data, defaults: { ...line.data.defaults, recovery } } }
      : line,
  );
  const failed = {
    type: "task.failed",
    taskId: "a",
    attempt: 1,
    epoch: 1,
    data: { error: failure("transient") },
  } as const;
  const stage = (log: typeof lines) => fold(workflowId, undefined, numbered([...log, failed])).tasks.get("a")?.stage;
  expect(stage(lines)).toMatchObject({ kind: "failing" });
  expect(stage(withTables)).toMatchObject({ kind: "failed", ends: "workflow" });
});
