import type { EventOf } from "./event.ts";
import { isSettled, type TaskState, type WorkflowState } from "./state.ts";
import type { TaskRequest } from "./request.ts";

/** What a workflow comes to once what it had done is undone. */
export type CompensationEnd = EventOf<"workflow.compensating">["data"]["end"];

const undoSuffix = "~undo";

/** The task that undoes another; no task of a plan has a name of that form. */
export function undoIdOf(taskId: string): string {
  return `${taskId}${undoSuffix}`;
}

/** The task of the plan that a task is, or undoes. */
export function planTaskOf(taskId: string): string {
  return taskId.endsWith(undoSuffix) ? taskId.slice(0, -undoSuffix.length) : taskId;
}

/** What is to be undone, in that order: the finished tasks that say how, the last one first. */
export function tasksToUndo({ tasks }: WorkflowState): string[] {
  return [...tasks.values()]
    .filter(({ stage, compensate }) => stage.kind === "completed" && compensate)
    .toSorted((a, b) => b.doneSeq - a.doneSeq)
    .map(({ id }) => id);
}

/** The requests of the tasks that undo these. */
export function undoRequests({ tasks }: WorkflowState, ids: readonly string[]): TaskRequest[] {
  return ids.flatMap((id) => {
    const compensate = tasks.get(id)?.compensate;
    return compensate ? [{ id: undoIdOf(id), ...compensate }] : [];
  });
}

/**
 * The tasks that undo these, each after the one before: what was done last is undone first. One that waits for a
 * person holds up no other; see `isReady`.
 */
export function undoTasks(state: WorkflowState, ids: readonly string[], at: number): TaskState[] {
  return ids.flatMap((id, place) => {
    const task = state.tasks.get(id);
    if (!task?.compensate) return [];
    const before = ids.slice(Math.max(0, place - 1), place).map(undoIdOf);
    return [
      {
        ...task,
        ...task.compensate,
        id: undoIdOf(id),
        undoes: id,
        needs: { tasks: before, phase: undefined },
        dependsOn: [],
        timeoutMs: undefined,
        deadline: undefined,
        attempts: state.defaultAttempts,
        backoffMs: 1000,
        onFailure: "continue",
        compensate: undefined,
        fallback: undefined,
        recovery: {},
        revision: undefined,
        stage: { kind: "pending", since: at },
        attempt: 1,
        firstAttempt: 1,
        dispatch: 0,
        epoch: 0,
        deaths: 0,
        startedAt: undefined,
        doneSeq: 0,
      },
    ];
  });
}

/** Those that have been undone, and of which the log does not say it yet. */
export function newlyUndone({ tasks }: WorkflowState): TaskState[] {
  return [...tasks.values()].filter(
    ({ id, stage }) => stage.kind === "completed" && tasks.get(undoIdOf(id))?.stage.kind === "completed",
  );
}

/** Whether everything that was to be undone is, or has been given up. */
export function isUndone({ tasks }: WorkflowState): boolean {
  return [...tasks.values()].every(({ stage }) => isSettled(stage));
}

/** How compensation stands, as the API shows it: `done` once everything is undone, `failed` as soon as something is not. */
export function compensationOf({ compensation, tasks, endedAt }: WorkflowState): "none" | "done" | "failed" {
  if (!compensation) return "none";
  const hasFailed = [...tasks.values()].some(
    ({ undoes, stage }) =>
      undoes !== undefined &&
      (stage.kind === "failed" || (stage.kind === "waiting" && stage.about === "compensation-failed")),
  );
  if (hasFailed) return "failed";
  return endedAt === undefined ? "none" : "done";
}
