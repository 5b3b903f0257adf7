import {
  type EventBody,
  fold,
  type Fork,
  forkLog,
  itemIdOf,
  type Unforkable,
  type WorkflowEvent,
} from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, done, lines, numbered, parallel, planned, task, workflowId } from "./log.ts";

const newId = "wf_00_11111111111111111111111111";
const phases = parallel([task("a"), task("b"), task("c", { onFailure: "continue" })], [task("d")]);
const failed: EventBody = {
  type: "workflow.failed",
  data: { error: { class: "data", code: "code", message: "message", taskId: "b" } },
};
const cancelled = (taskId: string): EventBody => ({ type: "task.cancelled", taskId, attempt: 1, data: {} });

/** 3 lines of planning, then: a done, b and c scheduled and started, c failed and b too, and the end. */
const log = numbered([
  ...planned(phases),
  ...done("a", "kept"),
  lines.scheduled("b"),
  lines.scheduled("c"),
  lines.started("b"),
  lines.started("c"),
  lines.failed("c"),
  lines.failed("b"),
  cancelled("d"),
  failed,
]);
const last = log.length;

function fork(fromSeq: number, input?: string, source: readonly WorkflowEvent[] = log): Fork {
  const made = attempted(fromSeq, input, source);
  if (made.kind !== "fork") throw new Error(`the largest is ${made.largest}`);
  return made;
}

function attempted(fromSeq: number, input?: string, source: readonly WorkflowEvent[] = log): Fork | Unforkable {
  return forkLog(newId, workflowId, source, input === undefined ? { fromSeq } : { fromSeq, input });
}

const stages = ({ state }: Fork) => Object.fromEntries([...state.tasks].map(([id, { stage }]) => [id, stage.kind]));

test("the first line says where it comes from, and the other input where there is one", () => {
  expect(fork(6).submitted.data).toMatchObject({
    tenant: "default",
    forkedFrom: { id: workflowId, seq: 6, at: 0 },
    request: { input: "question", plan: { phases } },
  });
  expect(fork(6, "another").submitted.data.request).toMatchObject({ input: "another", plan: { phases } });
  expect(fork(6, "").state.request.input).toBe("");
});

test("what is completed stays, and what was under way is begun anew as the same attempt", () => {
  const made = fork(9);
  expect(made.facts).toEqual([
    { type: "task.released", taskId: "b", attempt: 1, epoch: 1, data: { reason: "forked" } },
    { type: "task.released", taskId: "c", attempt: 1, data: { reason: "forked" } },
  ]);
  expect(stages(made)).toEqual({ a: "completed", b: "returned", c: "returned", d: "pending" });
  expect(made.claims).toEqual([
    { taskId: "a", attempt: 1, dispatch: 1, epoch: 1, claims: 1, completedAt: 6 },
    { taskId: "b", attempt: 1, dispatch: 1, epoch: 1, claims: 1, completedAt: 0 },
    { taskId: "c", attempt: 1, dispatch: 1, epoch: 0, claims: 0, completedAt: 0 },
  ]);
});

test("where nothing was under way nothing is added", () => {
  expect(fork(6).facts).toEqual([]);
  expect(fork(1)).toMatchObject({ facts: [], claims: [], state: { status: "queued", seq: 1 } });
});

test("a task that had failed the workflow is begun anew, with those that it took along; an accepted failure stays", () => {
  for (const place of [last - 2, last - 1]) {
    const made = fork(place);
    expect(made.facts).toEqual([{ type: "retry.requested", data: {} }]);
    expect(stages(made)).toEqual({ a: "completed", b: "pending", c: "failed", d: "pending" });
    expect(made.state.tasks.get("b")).toMatchObject({ attempt: 2, firstAttempt: 2, dispatch: 0 });
    expect(made.state.status).toBe("running");
  }
});

test("phases that nobody had accepted are proposed anew: for another input they may be others", () => {
  const append = parallel([task("more")]);
  const data = { outputBytes: 5000, append };
  const proposed: EventBody = { type: "task.completed", taskId: "a", attempt: 1, epoch: 1, data };
  const source = numbered([...planned(phases), lines.scheduled("a"), lines.started("a"), proposed]);
  const made = fork(6, undefined, source);
  expect(made.facts).toMatchObject([{ type: "task.released", taskId: "a" }]);
  expect(made.outputs).toEqual([]);
  expect(made.claims).toMatchObject([{ taskId: "a", completedAt: 0 }]);
});

test("what a person has said about a task of the source holds for the lines that are shared", () => {
  const opened: EventBody = {
    type: "item.opened",
    taskId: "a",
    attempt: 1,
    epoch: 1,
    data: { kind: "quarantine", summary: "died", detail: { deaths: 3, reason: "SIGKILL" } },
  };
  const item = itemIdOf(workflowId, 6);
  const data = { item, decision: "retry", by: "person" } as const;
  const settled: EventBody = { type: "item.settled", taskId: "a", attempt: 1, data };
  const source = numbered([...planned(phases), lines.scheduled("a"), lines.started("a"), opened, settled]);
  // Unsettled, the item is the source's, and the task is begun anew.
  expect(fork(6, undefined, source).facts).toMatchObject([{ type: "task.released", taskId: "a" }]);
  const made = fork(7, undefined, source);
  expect(made.facts).toEqual([]);
  expect(made.state.tasks.get("a")).toMatchObject({ stage: { kind: "pending" }, attempt: 2 });
});

test("outputs that the log does not hold are named", () => {
  const data = { outputBytes: 5000 };
  const large: EventBody = { type: "task.completed", taskId: "a", attempt: 1, epoch: 1, data };
  const source = numbered([...planned(phases), lines.scheduled("a"), lines.started("a"), large, ...done("b")]);
  expect(fork(9, undefined, source).outputs).toEqual(["a"]);
});

test("its times are those of the source, but for its own creation", () => {
  const { submitted } = fork(6);
  const data = { ...submitted.data, forkedFrom: { ...submitted.data.forkedFrom, at: begin + 1_000_000 } };
  const shared = fold(newId, undefined, [{ ...submitted, data, seq: 1, at: begin }, ...log.slice(1, 6)]);
  expect(shared).toMatchObject({ createdAt: begin + 1_000_000, updatedAt: begin + 1_000_000 });
  expect(shared.tasks.get("a")).toMatchObject({ startedAt: begin + 40, stage: { at: begin + 50 } });
});

describe("there is no fork", () => {
  test.each([0, last, last + 1, 1.5, -1])("from %d: the largest place is before the end", (place) => {
    expect(attempted(place)).toEqual({ kind: "unforkable", largest: last - 1 });
  });

  test("from behind a request to cancel, whatever came after it", () => {
    const cancel: EventBody = { type: "cancel.requested", data: {} };
    const source = numbered([...planned(phases), cancel, ...done("a")]);
    for (const place of [4, 5, 7]) {
      expect(attempted(place, undefined, source)).toEqual({ kind: "unforkable", largest: 3 });
    }
  });

  test("from an end that was followed by a retry, but from the retry on", () => {
    const source = [...log, ...numbered([{ type: "retry.requested", data: {} }, lines.scheduled("b", 2)], last + 1)];
    expect(attempted(last, undefined, source)).toEqual({ kind: "unforkable", largest: last + 2 });
    expect(fork(last + 1, undefined, source).facts).toEqual([]);
    expect(stages(fork(last + 2, undefined, source))).toMatchObject({ b: "returned", d: "pending" });
  });
});
