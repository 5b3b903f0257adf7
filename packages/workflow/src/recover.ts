import type { EventBody } from "./event.ts";
import { retryDelayMs } from "./retry.ts";
import type { TaskState } from "./state.ts";

/** What follows for a task whose attempt has just failed: another one, its fallback, or a question to a person. */
export function recoveryEvent(workflowId: string, task: TaskState, now: number): EventBody | undefined {
  const { id: taskId, attempt, stage, undoes, fallback: agent } = task;
  if (stage.kind !== "failing") return undefined;
  const { error, next } = stage;
  if (next === "escalate") {
    const detail = { error, attempts: attempt };
    if (undoes !== undefined) {
      const summary = `task ${undoes} could not be undone: ${error.code}`;
      return { type: "item.opened", taskId, attempt, data: { kind: "compensation-failed", summary, detail } };
    }
    const summary = `task ${taskId} has failed: ${error.code}`;
    return { type: "item.opened", taskId, attempt, data: { kind: "escalation", summary, detail } };
  }
  if (next === "fallback" && agent !== undefined) {
    return { type: "task.retrying", taskId, attempt: attempt + 1, data: { error, notBefore: now, agent } };
  }
  const notBefore = now + retryDelayMs(workflowId, task, error);
  return { type: "task.retrying", taskId, attempt: attempt + 1, data: { error, notBefore } };
}
