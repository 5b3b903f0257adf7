import { readFile } from "node:fs/promises";
import {
  EventBody,
  fold,
  type HandoffState,
  type ItemDecision,
  type PhaseRequest,
  projectWorkflow,
  type TaskStage,
  type TaskState,
  type WorkflowState,
  type WorkflowStatus,
} from "@flotilla/workflow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { examine, type Step } from "./invariants.ts";
import { scenarios } from "./scenario.ts";
import { simulate } from "./simulation.ts";

const document = await readFile(new URL("../../../docs/state-machine.md", import.meta.url), "utf8");

/** The rows of the first table below this text, its titles first. */
function table(below: string): string[][] {
  const rows = document.slice(document.indexOf(below)).split("\n");
  const first = rows.findIndex((row) => row.startsWith("|"));
  const length = rows.slice(first).findIndex((row) => !row.startsWith("|"));
  return rows
    .slice(first, first + length)
    .filter((row) => !row.startsWith("| ---"))
    .map((row) =>
      row
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

/** The edges of the diagram below a heading, without those from and to nowhere. */
function diagram(below: string): string[] {
  const [, text = ""] = /```mermaid\n([^]*?)```/.exec(document.slice(document.indexOf(below))) ?? [];
  return [...text.matchAll(/^ *(\w+) --> (\w+): (.+)$/gm)]
    .flatMap(([, from, to, events = ""]) => events.split(", ").map((event) => `${from} ${event} ${to}`))
    .toSorted();
}

/** The moves that a table says to happen: those without brackets that lead elsewhere. */
function movesOf([titles, ...rows]: string[][]): string[] {
  const columns = titles?.slice(1) ?? [];
  const moves = rows.flatMap(([line = "", ...cells]) =>
    cells.flatMap((to, column) => {
      const from = columns[column]?.replaceAll("`", "");
      return to === "·" || to.startsWith("(") || to === from ? [] : [`${from} ${/`(.+?)`/.exec(line)?.[1]} ${to}`];
    }),
  );
  return [...new Set(moves)].toSorted();
}

const at = 1000;
const defaults = { attempts: 3, concurrency: 10 };
const error = { class: "transient", code: "code", message: "message", taskId: "t" } as const;
const phases = [{ name: "p", parallel: true, tasks: [{ id: "t", agent: "plain", input: "" }] }];
const more: PhaseRequest[] = [{ name: "more", parallel: true, tasks: [{ id: "u", agent: "plain", input: "" }] }];

/** A workflow in this status. */
function workflow(status: WorkflowStatus, wantsPlanner = false): WorkflowState {
  const request = wantsPlanner ? { input: "" } : { input: "", plan: { phases } };
  const submitted = fold("wf", undefined, [
    { seq: 1, at, type: "workflow.submitted", data: { tenant: "default", request } },
    { seq: 2, at, type: "workflow.planned", data: { by: "request", phases, defaults } },
  ]);
  const hasEnded = !["queued", "planning", "running", "waiting", "compensating"].includes(status);
  const compensation = status === "compensating" ? { compensation: { status: "cancelled" as const } } : {};
  return { ...submitted, ...compensation, status, endedAt: hasEnded ? at : undefined };
}

const grant = { tools: [], mayPlan: false };
const output = { bytes: 2, inline: "", artifacts: [] };
const stages: TaskStage[] = [
  { kind: "pending", since: at },
  { kind: "scheduled", since: at },
  { kind: "running", since: at },
  { kind: "returned", since: at },
  { kind: "condemned", since: at, reason: "SIGKILL" },
  { kind: "waiting", since: at, item: "wf.9", about: "outcome-unknown", error },
  { kind: "parked", since: at, awaits: { signal: "go", nth: 1, step: "s", inputHash: "h" } },
  { kind: "failing", since: at, error },
  { kind: "proposing", since: at, output, append: more },
  { kind: "completed", at, output },
  { kind: "compensated", at },
  { kind: "failed", at, error },
  { kind: "cancelled", at },
];

/** A running workflow whose only task is in this stage, on its second of three attempts, claimed once. */
function withTask(stage: TaskStage, change: Partial<TaskState> = {}): WorkflowState {
  const state = workflow("running");
  const task = state.tasks.get("t");
  if (!task) throw new Error("there is no task");
  return { ...state, tasks: new Map([["t", { ...task, attempt: 2, dispatch: 1, epoch: 1, stage, ...change }]]) };
}

const after = (state: WorkflowState, event: EventBody) =>
  fold("wf", state, [{ ...event, seq: state.seq + 1, at: at + 1 }]);

const settled = (decision: ItemDecision, item = "wf.9"): EventBody => ({
  type: "item.settled",
  taskId: "t",
  attempt: 2,
  data: { item, decision, by: "person" },
});

/** The task in this stage; where it is parked, on a handoff in this status, whose own task has completed. */
function handingOver(stage: TaskStage, status: HandoffState["status"]): WorkflowState {
  const awaits = { handoff: 9 };
  const state = withTask(stage.kind === "parked" ? { ...stage, awaits } : stage);
  const task = state.tasks.get("t");
  if (!task) throw new Error("there is no task");
  const made = { task: status === "requested" ? undefined : "u", error: status === "failed" ? error : undefined };
  const work = { id: 9, from: "t", to: "plain", payload: "", step: "s", inputHash: "h", requestedAt: at };
  const origin = { handoff: 9, depth: 1, grant };
  return {
    ...state,
    tasks: new Map([...state.tasks, ["u", { ...task, id: "u", origin, stage: { kind: "completed", at, output } }]]),
    handoffs: new Map([[9, { ...work, ...made, status, endedAt: undefined }]]),
  };
}

interface Row {
  event: EventBody;
  wantsPlanner?: boolean;
  isUndoing?: boolean;
  /** What waits for a person is a plan. */
  isPlan?: boolean;
  task?: Partial<TaskState>;
  handoff?: HandoffState["status"];
}

const byRow: Record<string, Row> = {
  "`workflow.started`, plan or agent asked for": { event: { type: "workflow.started", data: {} } },
  "`workflow.started`, neither asked for": { event: { type: "workflow.started", data: {} }, wantsPlanner: true },
  "`workflow.planned` by the request": {
    event: { type: "workflow.planned", data: { by: "request", phases: more, defaults } },
  },
  "`workflow.planned` by the router": {
    event: { type: "workflow.planned", data: { by: "router", phases: more, defaults } },
  },
  "`workflow.planned` by a task": { event: { type: "workflow.planned", data: { by: "t", phases: more, defaults } } },
  "`workflow.compensating`": {
    event: { type: "workflow.compensating", data: { end: { status: "cancelled" }, tasks: [] } },
  },
  "`workflow.waiting`": { event: { type: "workflow.waiting", data: {} } },
  "`workflow.resumed`, there is a plan": { event: { type: "workflow.resumed", data: {} } },
  "`workflow.resumed`, the planner has not made one": {
    event: { type: "workflow.resumed", data: {} },
    wantsPlanner: true,
  },
  "`workflow.resumed`, what was done is being undone": {
    event: { type: "workflow.resumed", data: {} },
    isUndoing: true,
  },
  "`workflow.completed`": { event: { type: "workflow.completed", data: {} } },
  "`workflow.failed`": { event: { type: "workflow.failed", data: { error } } },
  "`workflow.aborted`": { event: { type: "workflow.aborted", data: { error } } },
  "`workflow.cancelled`": { event: { type: "workflow.cancelled", data: {} } },
  "`retry.requested`, a plan was made or asked for": { event: { type: "retry.requested", data: {} } },
  "`retry.requested`, no plan was made": { event: { type: "retry.requested", data: {} }, wantsPlanner: true },
  "`retry.requested`": { event: { type: "retry.requested", data: {} } },
  "`cancel.requested`": { event: { type: "cancel.requested", data: {} } },
  "`task.scheduled`": { event: { type: "task.scheduled", taskId: "t", attempt: 2, data: { dispatch: 2 } } },
  "`tasks.scheduled`": {
    event: { type: "tasks.scheduled", data: { tasks: [{ taskId: "t", attempt: 2, dispatch: 2 }] } },
  },
  "`task.started`": {
    event: { type: "task.started", taskId: "t", attempt: 2, epoch: 2, data: { worker: "w", claim: 1 } },
  },
  "`task.started`, another attempt or an older claim": {
    event: { type: "task.started", taskId: "t", attempt: 2, epoch: 1, data: { worker: "w", claim: 1 } },
  },
  "`task.progressed`": { event: { type: "task.progressed", taskId: "t", attempt: 2, epoch: 1, data: { message: "" } } },
  "`state.changed`": {
    event: { type: "state.changed", taskId: "t", attempt: 2, epoch: 1, data: { name: "n", value: 1 } },
  },
  "`task.completed`": {
    event: { type: "task.completed", taskId: "t", attempt: 2, epoch: 1, data: { outputBytes: 2 } },
  },
  "`task.completed` with phases to append": {
    event: { type: "task.completed", taskId: "t", attempt: 2, epoch: 1, data: { outputBytes: 2, append: more } },
  },
  "`workflow.planned` by this task": { event: { type: "workflow.planned", data: { by: "t", phases: more, defaults } } },
  "`task.failed`, may be tried again": {
    event: { type: "task.failed", taskId: "t", attempt: 2, epoch: 1, data: { error } },
  },
  "`task.failed`, to a person or the fallback": {
    event: { type: "task.failed", taskId: "t", attempt: 2, epoch: 1, data: { error: { ...error, class: "data" } } },
    task: { fallback: "planner" },
  },
  "`task.failed`, past its deadline": {
    event: { type: "task.failed", taskId: "t", attempt: 2, data: { error: { ...error, class: "deadline" } } },
  },
  "`task.failed`, for good": {
    event: { type: "task.failed", taskId: "t", attempt: 2, epoch: 1, data: { error: { ...error, class: "data" } } },
  },
  "`task.timed_out`, may be tried again": {
    event: { type: "task.timed_out", taskId: "t", attempt: 2, data: { timeoutMs: 1 } },
  },
  "`task.timed_out`, last attempt": {
    event: { type: "task.timed_out", taskId: "t", attempt: 2, data: { timeoutMs: 1 } },
    task: { attempts: 2 },
  },
  "`task.retrying`": { event: { type: "task.retrying", taskId: "t", attempt: 3, data: { error, notBefore: at } } },
  "`task.released`": {
    event: { type: "task.released", taskId: "t", attempt: 2, epoch: 1, data: { reason: "shutdown" } },
  },
  "`task.released`, to wait for a signal": {
    event: {
      type: "task.released",
      taskId: "t",
      attempt: 2,
      epoch: 1,
      data: { reason: "", awaits: { signal: "go", nth: 1, step: "s", inputHash: "h" } },
    },
  },
  "`signal.received`": { event: { type: "signal.received", data: { name: "go", by: "person" } } },
  "`handoff.requested`": {
    event: {
      type: "handoff.requested",
      taskId: "t",
      attempt: 2,
      epoch: 1,
      data: { to: "plain", payload: "", step: "s", inputHash: "h" },
    },
  },
  "`handoff.accepted`": {
    event: {
      type: "handoff.accepted",
      taskId: "t",
      attempt: 2,
      data: { handoff: 9, task: "v", depth: 1, grant, timeoutMs: 1, attempts: 1, backoffMs: 1 },
    },
    handoff: "requested",
  },
  "`handoff.completed`": {
    event: { type: "handoff.completed", taskId: "t", attempt: 2, data: { handoff: 9 } },
    handoff: "accepted",
  },
  "`handoff.failed`": {
    event: { type: "handoff.failed", taskId: "t", attempt: 2, data: { handoff: 9, error } },
    handoff: "accepted",
  },
  "`handoff.rolled_back`": {
    event: { type: "handoff.rolled_back", taskId: "t", attempt: 2, data: { handoff: 9, error } },
    handoff: "failed",
  },
  "`task.crashed`": { event: { type: "task.crashed", taskId: "t", attempt: 2, epoch: 1, data: { deaths: 1 } } },
  "`task.crashed`, of a process of its own": {
    event: { type: "task.crashed", taskId: "t", attempt: 2, epoch: 1, data: { deaths: 3, isolated: "SIGKILL" } },
  },
  "`task.quarantined`": {
    event: { type: "task.quarantined", taskId: "t", attempt: 2, data: { deaths: 3, reason: "SIGKILL" } },
  },
  "`item.opened`": {
    event: {
      type: "item.opened",
      taskId: "t",
      attempt: 2,
      data: { kind: "quarantine", summary: "", detail: { deaths: 3, reason: "SIGKILL" } },
    },
  },
  "`item.settled`, it happened or did not": { event: settled("happened") },
  "`item.settled`, approved or edited": { event: settled("approve") },
  "`item.settled`, denied": { event: settled("deny") },
  "`item.settled`, to be tried again": { event: settled("retry") },
  "`item.settled`, given up": { event: settled("fail") },
  "`item.settled`, skipped or aborted after an escalation": { event: settled("skip") },
  "`item.expired`": { event: { type: "item.expired", taskId: "t", attempt: 2, data: { item: "wf.9" } } },
  "`item.settled`, about a plan": { event: settled("approve"), isPlan: true },
  "`item.expired`, about a plan": {
    event: { type: "item.expired", taskId: "t", attempt: 2, data: { item: "wf.9" } },
    isPlan: true,
  },
  "`item.settled`, another item": { event: settled("fail", "wf.8") },
  "`task.compensated`": { event: { type: "task.compensated", taskId: "t", attempt: 2, data: {} } },
  "`task.cancelled`": { event: { type: "task.cancelled", taskId: "t", attempt: 2, data: {} } },
  "`repair.applied`": {
    event: { type: "repair.applied", taskId: "t", attempt: 2, data: { kind: "job-missing", dispatch: 1 } },
  },
};

const workflowTable = table("### Which line moves a workflow");
const taskTable = table("### Which line moves a task");

describe("every line does in the fold what the document says", () => {
  const [[, ...statuses] = [], ...workflowRows] = workflowTable;
  test.each(workflowRows)("to a workflow: %s", (line, ...cells) => {
    const { event, wantsPlanner, isUndoing } = byRow[line] ?? {};
    const undoing = isUndoing ? { compensation: { status: "cancelled" as const } } : {};
    const moved = statuses.map((name) => {
      // The heading of a column is a status; an unknown one changes nothing and fails below.
      const status = name.replaceAll("`", "") as WorkflowStatus;
      return event && after({ ...workflow(status, wantsPlanner), ...undoing }, event).status;
    });
    const said = cells.map((cell, column) =>
      cell === "·" ? statuses[column]?.replaceAll("`", "") : cell.replaceAll(/[()]/g, ""),
    );
    expect(moved).toEqual(said);
  });

  test.each(taskTable.slice(1))("to a task: %s", (line, ...cells) => {
    const { event, task, handoff, isPlan } = byRow[line] ?? {};
    const plan = { about: "plan" as const, proposal: { output, append: more } };
    const from = (stage: TaskStage) =>
      handoff
        ? handingOver(stage, handoff)
        : withTask(isPlan && stage.kind === "waiting" ? { ...stage, ...plan } : stage, task);
    const moved = stages.map((stage) => event && after(from(stage), event).tasks.get("t")?.stage.kind);
    expect(moved).toEqual(
      cells.map((cell, column) => (cell === "·" ? stages[column]?.kind : cell.replaceAll(/[()]/g, ""))),
    );
  });

  test("a start of another attempt changes no stage either", () => {
    const event: EventBody = {
      type: "task.started",
      taskId: "t",
      attempt: 1,
      epoch: 2,
      data: { worker: "w", claim: 1 },
    };
    for (const stage of stages) expect(after(withTask(stage), event).tasks.get("t")?.stage).toEqual(stage);
  });
});

test("the document has a column for every stage, and a row for every type of line", () => {
  expect(taskTable[0]?.slice(1)).toEqual(stages.map(({ kind }) => `\`${kind}\``));
  const rows = [...workflowTable.slice(1), ...taskTable.slice(1)].map(([line = ""]) => line);
  expect(rows.toSorted()).toEqual(Object.keys(byRow).toSorted());
  const types = EventBody.options.map((option) => option.shape.type.value);
  const named = new Set(rows.map((line) => /`(.+?)`/.exec(line)?.[1]));
  expect(types.filter((type) => !named.has(type))).toEqual(["workflow.submitted"]);
});

test("the diagrams draw exactly the moves that the tables say to happen", () => {
  expect(diagram("## Workflow")).toEqual(movesOf(workflowTable));
  expect(diagram("## Task")).toEqual(movesOf(taskTable));
});

test("simulated runs make exactly the moves that the diagrams draw", () => {
  const faults = { jobs: true, supervisors: true, workers: true, cancel: true, retries: true };
  const seen = { workflow: new Set<string>(), tasks: new Set<string>() };
  const text = ({ from, event, to }: Step) => `${from} ${event} ${to}`;
  for (const scenario of fc.sample(scenarios(faults, { timeouts: true }), { numRuns: 2500, seed: 11 })) {
    const { workflow, tasks } = examine(simulate(scenario).log);
    for (const step of workflow) seen.workflow.add(text(step));
    for (const step of tasks) seen.tasks.add(text(step));
  }
  expect([...seen.workflow].toSorted()).toEqual(diagram("## Workflow"));
  expect([...seen.tasks].toSorted()).toEqual(diagram("## Task"));
});

test("the document names the status and the waits that the API shows for each stage", () => {
  const rows = table("A task has a **stage**").slice(1);
  expect(rows.map(([stage]) => stage)).toEqual(stages.map(({ kind }) => `\`${kind}\``));
  rows.forEach(([, status, waits = ""], row) => {
    const [stage] = stages.slice(row);
    const view = stage && projectWorkflow(withTask(stage), () => null).tasks[0];
    expect(`\`${view?.status}\``).toBe(status);
    expect(view?.waitingFor ? waits : "—").toContain(view?.waitingFor?.reason ?? "—");
    expect(view?.waitingFor === undefined).toBe(waits === "—");
  });
});
