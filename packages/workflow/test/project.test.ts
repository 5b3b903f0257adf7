import {
  type EventBody,
  fold,
  neededOutputs,
  neededSurroundings,
  projectArtifacts,
  projectTask,
  projectWorkflow,
  type Surroundings,
  type WorkflowState,
} from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, done, lines, numbered, parallel, planned, running, task, workflowId } from "./log.ts";

const nothing = () => undefined;
const time = (ms: number) => new Date(ms).toISOString();
const ended: EventBody = { type: "workflow.completed", data: {} };

function taskOf(state: WorkflowState, id: string) {
  return projectWorkflow(state, nothing).tasks.find((view) => view.id === id);
}

describe("the phase of a workflow", () => {
  const phases = parallel([task("a"), task("b")], [task("c", { dependsOn: [] })]);
  test.each([
    ["the first, before anything has run", [], "p0"],
    ["the first with an open task, whatever later ones have done", [...done("a"), ...done("c")], "p0"],
    ["the next, once all of the first are settled", [...done("a"), ...done("b")], "p1"],
    ["none, after the end", [...done("a"), ...done("b"), ...done("c"), ended], null],
  ])("is %s", (_, events, phase) => {
    expect(projectWorkflow(running(phases, events), nothing).phase).toBe(phase);
  });
});

describe("the result of a workflow", () => {
  const result = (events: EventBody[], ...last: ReturnType<typeof task>[]) =>
    projectWorkflow(
      running(parallel([task("first")], last), [...done("first"), ...events, ended]),
      (id) => `output of ${id}`,
    ).result;

  test("is the output of the only task of the last phase", () => {
    expect(result(done("a", 42), task("a"))).toBe(42);
    expect(result(done("a", null), task("a"))).toBeNull();
  });

  test("is the outputs by task, when the last phase has several", () => {
    expect(result([...done("a", 1), ...done("b", 2)], task("a"), task("b"))).toEqual({ a: 1, b: 2 });
  });

  test("is null for a task that failed under continue", () => {
    const failed = [lines.scheduled("a"), lines.started("a"), lines.failed("a")];
    expect(result([...failed, ...done("b", 2)], task("a", { onFailure: "continue" }), task("b"))).toEqual({
      a: null,
      b: 2,
    });
    expect(result(failed, task("a", { onFailure: "continue" }))).toBeNull();
  });

  test("comes from elsewhere when the log does not hold it, and only then is it asked for", () => {
    const large = (taskId: string, outputBytes: number): EventBody => ({
      type: "task.completed",
      taskId,
      attempt: 1,
      epoch: 1,
      data: { outputBytes },
    });
    expect(result([lines.scheduled("a"), lines.started("a"), large("a", 9000)], task("a"))).toBe("output of a");
    const events = [...done("first", null), large("small", 4096), large("large", 4097), large("last", 9000)];
    const phases = parallel([task("first"), task("small"), task("large")], [task("last")]);
    expect(neededOutputs(running(phases, events))).toEqual(["small"]);
    expect(neededOutputs(running(phases, [...events, ended]))).toEqual(["small", "last"]);
  });

  test("is not there unless the workflow is completed", () => {
    expect(projectWorkflow(running(parallel([task("a")]), done("a")), nothing)).not.toHaveProperty("result");
    const cancelled = running(parallel([task("a")]), [...done("a"), { type: "workflow.cancelled", data: {} }]);
    expect(projectWorkflow(cancelled, nothing)).not.toHaveProperty("result");
  });
});

describe("a task waits for", () => {
  const phases = parallel([task("a"), task("b")], [task("c")]);
  const retrying: EventBody = {
    type: "task.retrying",
    taskId: "a",
    attempt: 2,
    data: { error: { class: "unknown", code: "", message: "" }, notBefore: begin + 5000 },
  };
  const claimed = [lines.scheduled("a"), lines.started("a")];
  test.each([
    ["its dependencies", [], "c", "pending", { reason: "dependency", since: time(begin + 20) }],
    ["its place", [lines.scheduled("a")], "b", "pending", { reason: "concurrency", since: time(begin + 20) }],
    ["a worker", [lines.scheduled("a")], "a", "queued", { reason: "worker", since: time(begin + 30) }],
    [
      "a worker again, when it was handed back",
      [...claimed, { type: "task.released", taskId: "a", attempt: 1, epoch: 1, data: { reason: "shutdown" } } as const],
      "a",
      "queued",
      { reason: "worker", since: time(begin + 50) },
    ],
    [
      "its backoff, not yet known",
      [...claimed, lines.failed("a", "transient")],
      "a",
      "pending",
      { reason: "retry-backoff", since: time(begin + 50) },
    ],
    [
      "its backoff",
      [...claimed, lines.failed("a", "transient"), retrying],
      "a",
      "pending",
      { reason: "retry-backoff", since: time(begin + 60), until: time(begin + 5000) },
    ],
    ["nothing, while it runs", claimed, "a", "running", undefined],
    ["nothing, when it is done", done("a"), "a", "completed", undefined],
  ])("%s", (_, events, id, status, waitingFor) => {
    const view = taskOf(running(phases, events), id);
    expect(view?.status).toBe(status);
    expect(view?.waitingFor).toEqual(waitingFor);
  });
});

describe("what its log does not tell of a task", () => {
  const phases = parallel([task("a")], [task("b")]);
  const claimed = [lines.scheduled("a"), lines.started("a")];
  const silent = new Map([["a", { since: begin + 100, until: begin + 6100 }]]);
  const paused = new Map([["worker", begin]]);
  const around = { paused, silent };
  const shown = (events: EventBody[], surroundings: Surroundings) =>
    projectWorkflow(running(phases, events), nothing, surroundings).tasks.map(({ status, waitingFor }) => [
      status,
      waitingFor?.reason,
      waitingFor?.since,
      waitingFor?.until,
    ]);

  test("is found out where it may matter", () => {
    expect(neededSurroundings(running(phases, [lines.scheduled("a")]))).toEqual({ agents: ["worker"], running: [] });
    expect(neededSurroundings(running(phases, claimed))).toEqual({ agents: [], running: ["a"] });
    expect(neededSurroundings(running(phases))).toEqual({ agents: [], running: [] });
  });

  test("is that its agent type is paused, from when both held, and that is no matter to one that runs", () => {
    const behind = ["pending", "dependency", time(begin + 20), undefined];
    expect(shown([lines.scheduled("a")], around)).toEqual([["queued", "paused", time(begin + 30), undefined], behind]);
    const later = { ...around, paused: new Map([["worker", begin + 99]]) };
    expect(shown([lines.scheduled("a")], later)).toEqual([["queued", "paused", time(begin + 99), undefined], behind]);
    expect(shown(claimed, { ...around, silent: new Map() })).toEqual([
      ["running", undefined, undefined, undefined],
      behind,
    ]);
  });

  test("is that its worker is not heard of, until it is taken for dead", () => {
    expect(shown(claimed, around)[0]).toEqual(["running", "lease", time(begin + 100), time(begin + 6100)]);
  });
});

describe("a task shows", () => {
  test("when it began and ended, and what it gave, be it null", () => {
    const phases = parallel([task("a", { dependsOn: [] }), task("b", { dependsOn: ["a"] })]);
    expect(taskOf(running(phases, done("a", null)), "a")).toEqual({
      id: "a",
      phase: "p0",
      agent: "worker",
      status: "completed",
      attempt: 1,
      dependsOn: [],
      output: null,
      outputBytes: 4,
      startedAt: time(begin + 40),
      endedAt: time(begin + 50),
    });
    expect(taskOf(running(phases), "b")).toMatchObject({ dependsOn: ["a"], outputBytes: 0 });
  });

  test("its output up to the size that is asked for", () => {
    const state = running(parallel([task("a")]), [
      lines.scheduled("a"),
      lines.started("a"),
      { type: "task.completed", taskId: "a", attempt: 1, epoch: 1, data: { outputBytes: 5000 } },
    ]);
    const view = state.tasks.get("a");
    if (!view) throw new Error("no task");
    expect(projectTask(state, view, () => "large")).not.toHaveProperty("output");
    expect(projectTask(state, view, () => "large", { maxOutputBytes: Infinity })).toMatchObject({
      output: "large",
      outputBytes: 5000,
    });
  });

  test("its error", () => {
    expect(
      taskOf(running(parallel([task("a")]), [lines.scheduled("a"), lines.started("a"), lines.failed("a")]), "a"),
    ).toMatchObject({
      status: "failed",
      error: { class: "data", code: "code", message: "message" },
    });
  });
});

test("a workflow shows its request, its plan with the tasks, and its times, from the start", () => {
  const phases = parallel([task("a")]);
  const [submitted] = planned(phases, { tags: { team: "x" }, priority: "high" });
  if (!submitted) throw new Error("no log");
  const queued = projectWorkflow(fold(workflowId, undefined, numbered([submitted])), nothing);
  expect(queued).toEqual({
    id: workflowId,
    status: "queued",
    input: "question",
    plan: { phases },
    phase: "p0",
    tasks: [
      {
        id: "a",
        phase: "p0",
        agent: "worker",
        status: "pending",
        attempt: 1,
        dependsOn: [],
        waitingFor: { reason: "concurrency", since: time(begin) },
        outputBytes: 0,
      },
    ],
    handoffs: [],
    compensation: "none",
    cost: {
      usd: 0,
      tokens: {
        input: 0,
        output: 0,
      },
    },
    priority: "high",
    tags: { team: "x" },
    createdAt: time(begin),
    updatedAt: time(begin),
  });
  const failed = running(phases, [
    { type: "workflow.failed", data: { error: { class: "data", code: "code", message: "message", taskId: "a" } } },
  ]);
  expect(projectWorkflow(failed, nothing)).toMatchObject({
    status: "failed",
    error: { taskId: "a", class: "data" },
    endedAt: time(begin + 30),
    plan: { phases },
  });
});

test("a workflow that the planner plans has no plan until it is made", () => {
  const request: EventBody = {
    type: "workflow.submitted",
    data: { tenant: "default", request: { input: "question" } },
  };
  expect(projectWorkflow(fold(workflowId, undefined, numbered([request])), nothing).plan).toBeNull();
});

test("of two files with one name, the later stands", () => {
  const artifact = (name: string, sha256: string) => ({ name, sha256, contentType: "text/plain", bytes: 1 });
  const completed = (taskId: string, artifacts: ReturnType<typeof artifact>[]): EventBody[] => [
    lines.scheduled(taskId),
    lines.started(taskId),
    { type: "task.completed", taskId, attempt: 1, epoch: 1, data: { outputBytes: 2, output: "", artifacts } },
  ];
  const state = running(parallel([task("a"), task("b")]), [
    ...completed("b", [artifact("report.md", "of b")]),
    ...completed("a", [artifact("report.md", "of a"), artifact("data.json", "of a")]),
  ]);
  expect(projectArtifacts(state).map(({ name, sha256, taskId }) => [name, sha256, taskId])).toEqual([
    ["report.md", "of a", "a"],
    ["data.json", "of a", "a"],
  ]);
});
