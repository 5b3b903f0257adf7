import { findTemplates, type Json, type PhaseRequest, type TaskGrant, type WorkflowState } from "@flotilla/workflow";

/** What a worker must know to run a task: stored when it is planned, answered by its claim. */
export interface Spec {
  agent: string;
  /** With its templates. */
  input: Json;
  /** Tasks whose outputs the templates name. */
  needs: string[];
  /** What the task may at most, where it was handed over; its input then holds no templates. */
  grant?: TaskGrant;
}

/** Field of the index that holds the input of the workflow, where a template names it. */
const inputField = "input";

/** The specs of the tasks that handoffs have made, or of those that the handoffs of these numbers have. */
export function handoffSpecs(
  { handoffs, tasks }: Pick<WorkflowState, "handoffs" | "tasks">,
  numbers: Iterable<number> = handoffs.keys(),
): [field: string, text: string][] {
  return Array.from(numbers).flatMap((number): [string, string][] => {
    const task = tasks.get(handoffs.get(number)?.task ?? "");
    if (!task?.origin) return [];
    const { id, agent, input, timeoutMs = 0, origin } = task;
    const spec: Spec = { agent, input, needs: [], grant: origin.grant };
    return [[`spec:${id}`, `${timeoutMs} 0  ${JSON.stringify(spec)}`]];
  });
}

/** The specs of new phases as fields of the index; lua/claim.lua explains their text. */
export function specsOf(phases: readonly PhaseRequest[], workflowInput: Json): [field: string, text: string][] {
  let wantsInput = false;
  const specs = phases.flatMap((phase) =>
    phase.tasks.map((task): [string, string] => {
      const refs = findTemplates(task.input).map(({ ref }) => ref);
      const needs = [...new Set(refs.flatMap((ref) => (ref?.kind === "task" ? [ref.taskId] : [])))];
      const usesInput = refs.some((ref) => ref?.kind === "input");
      wantsInput ||= usesInput;
      const spec: Spec = { agent: task.agent, input: task.input, needs };
      return [
        `spec:${task.id}`,
        `${task.timeoutMs ?? 0} ${usesInput ? 1 : 0} ${needs.join(",")} ${JSON.stringify(spec)}`,
      ];
    }),
  );
  return wantsInput ? [...specs, [inputField, JSON.stringify(workflowInput)]] : specs;
}
