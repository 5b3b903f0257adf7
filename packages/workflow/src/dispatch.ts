import type { EventBody } from "./event.ts";
import type { Priority } from "./request.ts";

/** One job for one attempt of a task. */
export interface Dispatch {
  taskId: string;
  agent: string;
  attempt: number;
  dispatch: number;
  priority: Priority;
  /** Workers that have died under the task: after two it runs in a process of its own. */
  deaths: number;
}

/** The event that schedules these dispatches, of which there is at least one. */
export function schedulingOf(dispatches: readonly Dispatch[]): EventBody {
  const tasks = dispatches.map(({ taskId, attempt, dispatch }) => ({ taskId, attempt, dispatch }));
  const [only] = tasks;
  if (!only || tasks.length > 1) return { type: "tasks.scheduled", data: { tasks } };
  const { taskId, attempt, dispatch } = only;
  return { type: "task.scheduled", taskId, attempt, data: { dispatch } };
}
