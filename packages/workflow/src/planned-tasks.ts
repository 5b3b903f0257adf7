import type { PlanDefaults } from "./event.ts";
import { needsOf } from "./plan.ts";
import type { PhaseRequest } from "./request.ts";
import type { TaskState, WorkflowState } from "./state.ts";

/** The tasks of phase number `phase` of `phases`, none of them begun. */
export function plannedTasks(
  { request }: Pick<WorkflowState, "request">,
  phases: readonly PhaseRequest[],
  phase: number,
  { attempts }: Pick<PlanDefaults, "attempts">,
  at: number,
): TaskState[] {
  const tasks = phases[phase]?.tasks ?? [];
  return tasks.map((task, index) => ({
    id: task.id,
    phase,
    agent: task.agent,
    input: task.input,
    needs: needsOf(phases, phase, index),
    dependsOn: task.dependsOn ?? [],
    priority: task.priority ?? request.priority ?? "normal",
    timeoutMs: task.timeoutMs,
    deadline: task.deadline === undefined ? undefined : Date.parse(task.deadline),
    attempts: task.retry?.attempts ?? attempts,
    backoffMs: task.retry?.backoffMs ?? 1000,
    fallback: task.fallback,
    recovery: task.recovery ?? {},
    undoes: undefined,
    onFailure: task.onFailure ?? "fail",
    compensate: task.compensate,
    doneSeq: 0,
    origin: undefined,
    revision: undefined,
    stage: { kind: "pending", since: at },
    attempt: 1,
    firstAttempt: 1,
    dispatch: 0,
    epoch: 0,
    deaths: 0,
    startedAt: undefined,
  }));
}
