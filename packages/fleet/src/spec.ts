import {
  addedPhases,
  type Budget,
  budgetOf,
  type EventBody,
  findTemplates,
  type Json,
  type PhaseRequest,
  requestOf,
  type Revision,
  type TaskGrant,
  type TaskRequest,
  type TaskState,
  undoRequests,
  type WorkflowRequest,
  type WorkflowState,
} from "@flotilla/workflow";

/** What a worker must know to run a task: stored when it is planned, answered by its claim. */
export interface Spec {
  agent: string;
  /** With its templates. */
  input: Json;
  /** Tasks whose outputs the templates name. */
  needs: string[];
  /** What the task may at most, where it was handed over; its input then holds no templates. */
  grant?: TaskGrant;
  /** What the workflow may spend on models, where that is bounded. */
  budget?: Budget;
  /** Begins the keys of its steps: of an agent that took over, whose journal is not that of the one before. */
  scope?: string;
  /** What was wrong with the phases that it appended last. */
  revision?: Revision;
}

/** Field of the index that holds the input of the workflow, where a template names it. */
const inputField = "input";

/** The specs of the tasks that handoffs have made, or of those that the handoffs of these numbers have. */
export function handoffSpecs(
  { handoffs, tasks, request }: Pick<WorkflowState, "handoffs" | "tasks" | "request">,
  numbers: Iterable<number> = handoffs.keys(),
): [field: string, text: string][] {
  return Array.from(numbers).flatMap((number): [string, string][] => {
    const task = tasks.get(handoffs.get(number)?.task ?? "");
    if (!task?.origin) return [];
    const { id, agent, input, timeoutMs = 0, origin, revision } = task;
    const more = { ...boundsOf(request), ...(revision && { revision }) };
    const spec: Spec = { agent, input, needs: [], grant: origin.grant, ...more };
    return [[`spec:${id}`, `${timeoutMs} 0  ${JSON.stringify(spec)}`]];
  });
}

/** The specs of new phases as fields of the index; lua/claim.lua explains their text. */
export function specsOf(phases: readonly PhaseRequest[], request: WorkflowRequest): [field: string, text: string][] {
  let wantsInput = false;
  const specs = phases.flatMap((phase) =>
    phase.tasks.map((task) => {
      wantsInput ||= findTemplates(task.input).some(({ ref }) => ref?.kind === "input");
      return specOf(task, boundsOf(request));
    }),
  );
  return wantsInput ? [...specs, [inputField, JSON.stringify(request.input)]] : specs;
}

/** The specs that go with an event, where `state` is the workflow after it, at once or later. */
export function specsOfEvent(event: EventBody, state: WorkflowState): [field: string, text: string][] {
  const { request } = state;
  if (event.type === "workflow.planned") return specsOf(addedPhases(event, request), request);
  if (event.type === "workflow.compensating") {
    const tasks = undoRequests(state, event.data.tasks);
    return specsOf([{ name: "compensation", parallel: false, tasks }], request);
  }
  if (event.type === "handoff.accepted") return handoffSpecs(state, [event.data.handoff]);
  if (event.type !== "task.retrying" && event.type !== "task.failed") return [];
  const { revision } = event.data;
  const agent = "agent" in event.data ? event.data.agent : undefined;
  const task = state.tasks.get(event.taskId);
  if (!task || (!revision && agent === undefined)) return [];
  // After a rebuild the state is a later one: then a later line has another agent take over, and follows.
  return changedSpec(state, {
    ...task,
    agent: agent ?? task.agent,
    revision: agent === undefined ? revision : undefined,
  });
}

/** The spec of a task that is not as its plan or its handoff made it, as a field of the index. */
export function changedSpec(state: WorkflowState, task: TaskState): [field: string, text: string][] {
  const { id, agent, revision, origin } = task;
  if (origin) return handoffSpecs({ ...state, tasks: new Map([[id, task]]) }, [origin.handoff]);
  const request = requestOf(state, id);
  if (!request) return [];
  const scope = agent === request.agent ? {} : { scope: `##${agent}/` };
  return [specOf({ ...request, agent }, { ...boundsOf(state.request), ...scope, ...(revision && { revision }) })];
}

function boundsOf(request: WorkflowRequest): Pick<Spec, "budget"> {
  const budget = budgetOf(request);
  return budget ? { budget } : {};
}

function specOf(
  { id, agent, input, timeoutMs = 0 }: TaskRequest,
  more: Pick<Spec, "scope" | "budget" | "revision">,
): [string, string] {
  const refs = findTemplates(input).map(({ ref }) => ref);
  const needs = [...new Set(refs.flatMap((ref) => (ref?.kind === "task" ? [ref.taskId] : [])))];
  const usesInput = refs.some((ref) => ref?.kind === "input") ? 1 : 0;
  const spec: Spec = { agent, input, needs, ...more };
  return [`spec:${id}`, `${timeoutMs} ${usesInput} ${needs.join(",")} ${JSON.stringify(spec)}`];
}
