import { compensationOf, undoIdOf } from "./compensation.ts";
import { costOf, noSpend, type Spend } from "./cost.ts";
import type { Json } from "./json.ts";
import type { TaskState, WorkflowState } from "./state.ts";
import type { HandoffState } from "./handoff.ts";
import type { ArtifactView, HandoffView, TaskStatus, TaskView, WorkflowView } from "./view.ts";
import { noSurroundings, type Surroundings, waitOf } from "./waiting.ts";

/** Largest output that a task shows inline, in bytes of JSON. */
export const inlineOutputBytes = 4096;

/** Finds the output of a task that the log does not hold itself. */
export type OutputOf = (taskId: string) => Json | undefined;

const time = (at: number) => new Date(at).toISOString();

/** Tasks whose outputs `projectWorkflow` will ask for and the log does not hold. */
export function neededOutputs(state: WorkflowState): string[] {
  const wanted = new Set(state.status === "completed" ? lastPhase(state) : []);
  const ids: string[] = [];
  for (const { id, stage } of state.tasks.values()) {
    if (stage.kind !== "completed" || stage.output.inline !== undefined) continue;
    if (wanted.has(id) || stage.output.bytes <= inlineOutputBytes) ids.push(id);
  }
  return ids;
}

/**
 * A workflow as `GET /v1/workflows/:id` gives it: why its tasks wait, as far as `around` is known, and what it has spent,
 * which is counted beside its log.
 */
export function projectWorkflow(
  state: WorkflowState,
  outputOf: OutputOf,
  around: Surroundings = noSurroundings,
  spend: Spend = noSpend,
): WorkflowView {
  const { request } = state;
  const open = state.phases.find((phase) => phase.open > 0);
  return {
    id: state.id,
    status: state.status,
    input: request.input,
    plan: state.phases.length > 0 ? { phases: state.phases.map((phase) => phase.request) } : null,
    phase: state.endedAt === undefined ? (open?.request.name ?? null) : null,
    tasks: [...state.tasks.values()]
      .filter(({ undoes }) => undoes === undefined)
      .map((task) => projectTask(state, task, outputOf, { around })),
    handoffs: [...state.handoffs.values()].map(projectHandoff),
    ...(state.status === "completed" ? { result: resultOf(state, outputOf) } : {}),
    ...(state.error ? { error: state.error } : {}),
    compensation: compensationOf(state),
    cost: costOf(spend),
    priority: request.priority ?? "normal",
    tags: request.tags ?? {},
    createdAt: time(state.createdAt),
    updatedAt: time(state.updatedAt),
    ...(state.endedAt === undefined ? {} : { endedAt: time(state.endedAt) }),
  };
}

function projectHandoff({ id, from, to, task, status, error, requestedAt, endedAt }: HandoffState): HandoffView {
  return {
    id,
    from,
    to,
    status,
    ...(task === undefined ? {} : { task }),
    ...(error ? { error } : {}),
    requestedAt: time(requestedAt),
    ...(endedAt === undefined ? {} : { endedAt: time(endedAt) }),
  };
}

/** A task as the API gives it; its output inline up to `maxOutputBytes`. */
export function projectTask(
  state: WorkflowState,
  task: TaskState,
  outputOf: OutputOf,
  {
    maxOutputBytes = inlineOutputBytes,
    around = noSurroundings,
  }: { maxOutputBytes?: number; around?: Surroundings } = {},
): TaskView {
  const { stage } = task;
  const waitingFor = waitOf(state, task, around);
  const output =
    stage.kind === "completed" && stage.output.bytes <= maxOutputBytes ? valueOf(task, outputOf) : undefined;
  return {
    id: task.id,
    phase: state.phases[task.phase]?.request.name ?? "",
    agent: task.agent,
    // A person is asked about the plan, so that its first tasks wait for them.
    status: stage.kind === "pending" && waitingFor?.reason === "person" ? "waiting" : statusOf(task),
    attempt: task.attempt,
    dependsOn: [...task.dependsOn],
    ...(waitingFor ? { waitingFor } : {}),
    ...(task.startedAt === undefined ? {} : { startedAt: time(task.startedAt) }),
    ...("at" in stage ? { endedAt: time(stage.at) } : {}),
    ...("error" in stage ? { error: stage.error } : {}),
    ...(output === undefined ? {} : { output }),
    outputBytes: stage.kind === "completed" ? stage.output.bytes : 0,
    ...undoOf(state, task, around),
  };
}

/** How the undoing of a task stands, where it has begun. */
function undoOf(state: WorkflowState, { id }: TaskState, around: Surroundings): Pick<TaskView, "compensation"> {
  const undo = state.tasks.get(undoIdOf(id));
  if (!undo) return {};
  const { agent, status, attempt, waitingFor, error } = projectTask(state, undo, () => undefined, { around });
  const more = { ...(waitingFor ? { waitingFor } : {}), ...(error ? { error } : {}) };
  return { compensation: { agent, status, attempt, ...more } };
}

/** The files that finished tasks made; of two with one name, the later. */
export function projectArtifacts(state: WorkflowState): ArtifactView[] {
  const byName = new Map<string, ArtifactView & { at: number }>();
  for (const { id: taskId, stage } of state.tasks.values()) {
    if (stage.kind !== "completed") continue;
    for (const artifact of stage.output.artifacts) {
      const earlier = byName.get(artifact.name);
      if (!earlier || earlier.at <= stage.at) byName.set(artifact.name, { ...artifact, taskId, at: stage.at });
    }
  }
  return [...byName.values()].map(({ at: _, ...artifact }) => artifact);
}

function lastPhase(state: WorkflowState): string[] {
  return state.phases.at(-1)?.request.tasks.map((task) => task.id) ?? [];
}

function resultOf(state: WorkflowState, outputOf: OutputOf): Json {
  const value = (id: string): Json => {
    const task = state.tasks.get(id);
    return (task && valueOf(task, outputOf)) ?? null;
  };
  const ids = lastPhase(state);
  const [only] = ids;
  return ids.length === 1 && only !== undefined ? value(only) : Object.fromEntries(ids.map((id) => [id, value(id)]));
}

function valueOf({ id, stage }: TaskState, outputOf: OutputOf): Json | undefined {
  if (stage.kind !== "completed") return undefined;
  // Null is an output too.
  return stage.output.inline === undefined ? outputOf(id) : stage.output.inline;
}

function statusOf({ stage }: TaskState): TaskStatus {
  switch (stage.kind) {
    case "pending":
    case "failing":
      return "pending";
    case "returned":
      return stage.postponed ? "waiting" : "queued";
    case "scheduled":
    case "condemned":
      return "queued";
    case "waiting":
    case "parked":
      return "waiting";
    case "running":
    case "proposing":
      return "running";
    case "completed":
    case "compensated":
    case "failed":
    case "cancelled":
      return stage.kind;
  }
}
