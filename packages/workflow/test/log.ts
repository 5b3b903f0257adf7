import {
  decide,
  type EventBody,
  fold,
  type Look,
  type PhaseRequest,
  type TaskRequest,
  type WorkflowEvent,
  type WorkflowRequest,
  type WorkflowState,
} from "@flotilla/workflow";

/** The time of the first line of a log made here; each line comes 10 ms after the last. */
export const begin = 1_000_000;

export const workflowId = "wf_00_00000000000000000000000000";

/** A task that does nothing in particular. */
export function task(id: string, more: Partial<TaskRequest> = {}): TaskRequest {
  return { id, agent: "worker", input: "", ...more };
}

/** The phases of a plan: lists of tasks, all parallel. */
export function parallel(...phases: TaskRequest[][]): PhaseRequest[] {
  return phases.map((tasks, p) => ({ name: `p${p}`, parallel: true, tasks }));
}

/** Gives events their places and times. */
export function numbered(events: readonly EventBody[], first = 1): WorkflowEvent[] {
  return events.map((event, index) => ({ ...event, seq: first + index, at: begin + 10 * (first + index - 1) }));
}

/** What stands in the log of a workflow with these phases before its first task is scheduled. */
export function planned(phases: PhaseRequest[], request: Partial<WorkflowRequest> = {}): EventBody[] {
  return [
    {
      type: "workflow.submitted",
      data: { tenant: "default", request: { input: "question", plan: { phases }, ...request } },
    },
    { type: "workflow.started", data: {} },
    { type: "workflow.planned", data: { by: "request", phases, defaults: { attempts: 3, concurrency: 100 } } },
  ];
}

/** The state after the plan and these events. */
export function running(
  phases: PhaseRequest[],
  events: readonly EventBody[] = [],
  request: Partial<WorkflowRequest> = {},
): WorkflowState {
  return fold(workflowId, undefined, numbered([...planned(phases, request), ...events]));
}

/** Lines of one task, by what happens to it. */
export const lines = {
  scheduled: (taskId: string, attempt = 1, dispatch = 1): EventBody => ({
    type: "task.scheduled",
    taskId,
    attempt,
    data: { dispatch },
  }),
  started: (taskId: string, attempt = 1, epoch = 1): EventBody => ({
    type: "task.started",
    taskId,
    attempt,
    epoch,
    data: { worker: "w", claim: 1 },
  }),
  completed: (taskId: string, output: string | number | null = "done"): EventBody => ({
    type: "task.completed",
    taskId,
    attempt: 1,
    epoch: 1,
    data: { outputBytes: JSON.stringify(output).length, output },
  }),
  failed: (taskId: string, failure: "transient" | "data" | "critical" = "data", attempt = 1): EventBody => ({
    type: "task.failed",
    taskId,
    attempt,
    epoch: 1,
    data: { error: { class: failure, code: "code", message: "message" } },
  }),
};

/** The lines of a task from its dispatch to its output. */
export function done(taskId: string, output?: string | number | null): EventBody[] {
  return [lines.scheduled(taskId), lines.started(taskId), lines.completed(taskId, output)];
}

/** A look long after a log made here, by a fleet that has a worker and a planner. */
export const now = begin + 100_000;
const agents = new Map([
  ["worker", { mayPlan: false }],
  ["planner", { mayPlan: true }],
]);
export const look: Look = {
  now,
  expired: [],
  missing: [],
  isRepeated: false,
  agents,
  defaults: { attempts: 3, concurrency: 100 },
};

/** What a look decides, by type. */
export function typesOf(state: WorkflowState, change: Partial<Look> = {}): string[] {
  return decide(state, { ...look, ...change }).events.map(({ type }) => type);
}
