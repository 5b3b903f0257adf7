import { type EventBody, fold } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, done, lines, numbered, parallel, planned, running, task, workflowId } from "./log.ts";

const retryingLine: EventBody = {
  type: "task.retrying",
  taskId: "c",
  attempt: 2,
  data: { error: { class: "transient", code: "code", message: "message" }, notBefore: begin },
};

const phases = parallel(
  [task("a"), task("b", { onFailure: "continue" })],
  [task("c", { retry: { attempts: 2, backoffMs: 7 }, priority: "high" })],
);

test("what agents share is what was set last, and its version is the place of that line", () => {
  const set = (name: string, value: number): EventBody => {
    return { type: "state.changed", taskId: "a", attempt: 1, epoch: 1, data: { name, value } };
  };
  const { shared, seq } = running(parallel([task("a")]), [set("n", 1), set("m", 2), set("n", 3)]);
  expect([...shared]).toEqual([
    ["n", { value: 3, version: seq }],
    ["m", { value: 2, version: seq - 1 }],
  ]);
});

test("a log begins with workflow.submitted", () => {
  expect(() => fold(workflowId, undefined, [])).toThrow("does not begin");
  expect(() => fold(workflowId, undefined, numbered([{ type: "workflow.started", data: {} }]))).toThrow(
    "does not begin",
  );
});

test("a line that is missing, or there twice, is an error and not a state", () => {
  const [submitted, started] = numbered(planned(phases));
  if (!submitted || !started) throw new Error("no log");
  expect(() => fold(workflowId, undefined, [submitted, submitted])).toThrow("does not follow");
  const state = fold(workflowId, undefined, [submitted, started]);
  expect(() => fold(workflowId, state, numbered([{ type: "workflow.completed", data: {} }], 4))).toThrow(
    "event 4 does not follow 2",
  );
});

test("what a plan does not say comes from the workflow, then from the defaults in the log", () => {
  const { tasks, concurrency } = running(phases, [], { priority: "low" });
  expect(tasks.get("a")).toMatchObject({
    priority: "low",
    attempts: 3,
    backoffMs: 1000,
    onFailure: "fail",
    attempt: 1,
    dispatch: 0,
    epoch: 0,
  });
  expect(tasks.get("b")).toMatchObject({ onFailure: "continue", dependsOn: [] });
  expect(tasks.get("c")).toMatchObject({ priority: "high", attempts: 2, backoffMs: 7, phase: 1 });
  expect(concurrency).toBe(100);
  expect(running(phases, [], { concurrency: 2 }).concurrency).toBe(2);
});

test("folding does not change the state that it began with", () => {
  const state = running(phases);
  const before = structuredClone(state);
  fold(workflowId, state, numbered(done("a"), 4));
  expect(state).toEqual(before);
});

test("a second result of a task changes nothing but the place in the log", () => {
  const state = running(phases, done("a", "first"));
  const again = fold(workflowId, state, numbered([lines.completed("a", "second"), lines.failed("a")], state.seq + 1));
  expect(again).toEqual({ ...state, seq: state.seq + 2, updatedAt: state.updatedAt + 20 });
  expect(again.phases[0]?.open).toBe(1);
});

test("after the end no line changes what the workflow came to", () => {
  const ended = running(phases, [{ type: "workflow.cancelled", data: { reason: "enough" } }]);
  const late = fold(
    workflowId,
    ended,
    numbered([...done("a"), { type: "workflow.completed", data: {} }], ended.seq + 1),
  );
  expect(late).toEqual({ ...ended, seq: ended.seq + 4, updatedAt: ended.updatedAt + 40 });
  expect(ended).toMatchObject({ status: "cancelled", endedAt: begin + 30 });
});

const retry: EventBody = { type: "retry.requested", data: {} };
const failedAt = (taskId: string, type: "workflow.failed" | "workflow.aborted" = "workflow.failed"): EventBody => ({
  type,
  data: { error: { class: "data", code: "code", message: "message", taskId } },
});
const cancelled = (taskId: string): EventBody => ({ type: "task.cancelled", taskId, attempt: 1, data: {} });

describe("a retry", () => {
  const plan = parallel(
    [task("done"), task("fatal"), task("skipped", { onFailure: "continue" }), task("cut"), task("queued")],
    [task("later")],
  );
  const before = [
    ...done("done", "kept"),
    ...["fatal", "skipped", "cut", "queued"].map((id) => lines.scheduled(id)),
    ...["fatal", "skipped", "cut"].map((id) => lines.started(id)),
    lines.failed("skipped"),
    lines.failed("fatal"),
    ...["cut", "queued", "later"].map(cancelled),
    failedAt("fatal"),
  ];

  test("opens what ended the workflow and what was cut off by it, and keeps completed tasks and accepted failures", () => {
    const state = running(plan, [...before, retry]);
    expect(state).toMatchObject({ status: "running", error: undefined, endedAt: undefined });
    expect(Object.fromEntries([...state.tasks].map(([id, { stage }]) => [id, stage.kind]))).toEqual({
      done: "completed",
      fatal: "pending",
      skipped: "failed",
      cut: "pending",
      queued: "pending",
      later: "pending",
    });
    expect(state.phases.map(({ open }) => open)).toEqual([3, 1]);
    expect(state.tasks.get("done")?.stage).toMatchObject({ output: { inline: "kept" } });
  });

  test("begins a new attempt of what a worker had begun, and only another dispatch of what none had", () => {
    const { tasks } = running(plan, [...before, retry]);
    const next = { attempt: 2, firstAttempt: 2, dispatch: 0, epoch: 1 };
    expect(tasks.get("fatal")).toMatchObject(next);
    expect(tasks.get("cut")).toMatchObject(next);
    const same = { attempt: 1, firstAttempt: 1, dispatch: 1, epoch: 0 };
    expect(tasks.get("queued")).toMatchObject(same);
    expect(tasks.get("later")).toMatchObject(same);
  });

  test("gives each task its attempts anew, and counts no earlier death against it", () => {
    const again: EventBody[] = [lines.scheduled("c"), lines.started("c"), lines.failed("c", "transient")];
    const last: EventBody[] = [
      retryingLine,
      lines.scheduled("c", 2, 1),
      lines.started("c", 2, 2),
      lines.failed("c", "transient", 2),
    ];
    const died: EventBody = { type: "task.crashed", taskId: "c", attempt: 2, epoch: 2, data: { deaths: 2 } };
    const first = [...done("a"), ...done("b"), ...again, ...last];
    expect(running(phases, first).tasks.get("c")?.stage.kind).toBe("failed");
    const state = running(phases, [...first.slice(0, -1), died, lines.scheduled("c", 2, 2), ...first.slice(-1)]);
    expect(state.tasks.get("c")).toMatchObject({ stage: { kind: "failed" }, deaths: 2 });
    const retried = fold(workflowId, state, numbered([failedAt("c"), retry], state.seq + 1));
    expect(retried.tasks.get("c")).toMatchObject({
      stage: { kind: "pending" },
      attempt: 3,
      firstAttempt: 3,
      deaths: 0,
    });
    const third = [lines.scheduled("c", 3, 1), lines.started("c", 3, 3), lines.failed("c", "transient", 3)];
    expect(fold(workflowId, retried, numbered(third, retried.seq + 1)).tasks.get("c")?.stage.kind).toBe("failing");
  });

  test("opens a critical failure under `continue` too: it is what aborted the workflow", () => {
    const state = running(phases, [
      lines.scheduled("b"),
      lines.started("b"),
      lines.failed("b", "critical"),
      failedAt("b", "workflow.aborted"),
      retry,
    ]);
    expect(state.status).toBe("running");
    expect(state.tasks.get("b")?.stage.kind).toBe("pending");
  });

  test.each<EventBody>([
    { type: "workflow.completed", data: {} },
    { type: "workflow.cancelled", data: {} },
  ])("after $type changes nothing but the place in the log", (end) => {
    const ended = running(phases, [cancelled("c"), end]);
    const after = fold(workflowId, ended, numbered([retry], ended.seq + 1));
    expect(after).toEqual({ ...ended, seq: ended.seq + 1, updatedAt: ended.updatedAt + 10 });
  });
});

test("a late claim of an attempt that was superseded is known by its epoch, and moves nothing", () => {
  const state = running(phases, [
    lines.scheduled("a"),
    lines.scheduled("b"),
    lines.started("a", 1, 1),
    lines.failed("a", "transient"),
    {
      type: "task.retrying",
      taskId: "a",
      attempt: 2,
      data: { error: { class: "transient", code: "code", message: "" }, notBefore: begin },
    },
    lines.scheduled("a", 2, 1),
    lines.started("a", 1, 2),
  ]);
  expect(state.tasks.get("a")).toMatchObject({ stage: { kind: "scheduled" }, attempt: 2, epoch: 2 });
});

test("events of tasks that are not in the plan change nothing", () => {
  const state = running(phases);
  const events = [...done("x"), lines.failed("x"), lines.scheduled("__proto__")];
  expect(fold(workflowId, state, numbered(events, 4)).tasks).toEqual(state.tasks);
});

test("a planner's task is completed by the plan that it made, with its output", () => {
  const append = parallel([task("new")]);
  const state = running(parallel([task("a")]), [
    lines.scheduled("a"),
    lines.started("a"),
    { type: "task.completed", taskId: "a", attempt: 1, epoch: 1, data: { outputBytes: 3, output: 123, append } },
  ]);
  expect(state.tasks.get("a")?.stage).toMatchObject({ kind: "proposing", append });
  const after = fold(
    workflowId,
    state,
    numbered(
      [{ type: "workflow.planned", data: { by: "a", phases: append, defaults: { attempts: 1, concurrency: 5 } } }],
      7,
    ),
  );
  expect(after.tasks.get("a")?.stage).toMatchObject({ kind: "completed", output: { inline: 123 } });
  expect(after.tasks.get("new")).toMatchObject({ phase: 1, needs: { tasks: [], phase: 0 }, attempts: 1 });
  expect(after.phases.map(({ open }) => open)).toEqual([0, 1]);
});
