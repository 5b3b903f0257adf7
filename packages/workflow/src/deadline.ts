import type { Failure } from "./failure.ts";
import { isSettled, type TaskState, type WorkflowState } from "./state.ts";

/** The failure of what was not done in time. */
export function overdueFailure(what: "task" | "workflow", deadline: number): Failure {
  const message = `the ${what} was not done by ${new Date(deadline).toISOString()}`;
  return { class: "deadline", code: "deadline-passed", message };
}

/** When the workflow is to be done; undefined where nobody said, or where somebody asked for it again after that. */
export function workflowDeadline({ request, deadlinesFrom }: WorkflowState): number | undefined {
  const deadline = request.deadline === undefined ? undefined : Date.parse(request.deadline);
  return deadline !== undefined && deadline > deadlinesFrom ? deadline : undefined;
}

/** When a task is to be done that is not; what it has done in time, and only its phases are to be judged, is done. */
export function taskDeadline({ deadlinesFrom }: WorkflowState, { deadline, stage }: TaskState): number | undefined {
  if (deadline === undefined || deadline <= deadlinesFrom) return undefined;
  const isDone = stage.kind === "proposing" || (stage.kind === "waiting" && stage.about === "plan");
  return isSettled(stage) || isDone ? undefined : deadline;
}

/** When the workflow may start; 0 where nobody said. */
export function startOf({ request }: Pick<WorkflowState, "request">): number {
  return request.startAt === undefined ? 0 : Date.parse(request.startAt);
}

/** The first deadline of an open workflow, or of a task of it; Infinity where there is none. */
export function firstDeadline(state: WorkflowState): number {
  let first = workflowDeadline(state) ?? Infinity;
  if (state.status === "queued") return first;
  for (const task of state.tasks.values()) first = Math.min(first, taskDeadline(state, task) ?? Infinity);
  return first;
}
