import { compensationOf, undoIdOf } from "./compensation.ts";
import { startOf } from "./deadline.ts";
import { costOf, noSpend, type Spend } from "./cost.ts";
import type { Json } from "./json.ts";
import { isReady, isSettled, type TaskState, type WorkflowState } from "./state.ts";
import type { HandoffState } from "./handoff.ts";
import type { ArtifactView, HandoffView, TaskStatus, TaskView, WaitingFor, WorkflowView } from "./view.ts";

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

/** A workflow as `GET /v1/workflows/:id` gives it; what it has spent is counted beside its log. */
export function projectWorkflow(state: WorkflowState, outputOf: OutputOf, spend: Spend = noSpend): WorkflowView {
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
      .map((task) => projectTask(state, task, outputOf)),
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
  maxOutputBytes = inlineOutputBytes,
): TaskView {
  const { stage } = task;
  const waitingFor = waitOf(state, task);
  const output =
    stage.kind === "completed" && stage.output.bytes <= maxOutputBytes ? valueOf(task, outputOf) : undefined;
  return {
    id: task.id,
    phase: state.phases[task.phase]?.request.name ?? "",
    agent: task.agent,
    status: gateOf(state, task) ? "waiting" : statusOf(task),
    attempt: task.attempt,
    dependsOn: [...task.dependsOn],
    ...(waitingFor ? { waitingFor } : {}),
    ...(task.startedAt === undefined ? {} : { startedAt: time(task.startedAt) }),
    ...("at" in stage ? { endedAt: time(stage.at) } : {}),
    ...("error" in stage ? { error: stage.error } : {}),
    ...(output === undefined ? {} : { output }),
    outputBytes: stage.kind === "completed" ? stage.output.bytes : 0,
    ...undoOf(state, task),
  };
}

/** How the undoing of a task stands, where it has begun. */
function undoOf(state: WorkflowState, { id }: TaskState): Pick<TaskView, "compensation"> {
  const undo = state.tasks.get(undoIdOf(id));
  if (!undo) return {};
  const { agent, status, attempt, waitingFor, error } = projectTask(state, undo, () => undefined);
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
    case "scheduled":
    case "returned":
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

/** The question about the plan of the request that a task waits for which could run otherwise. */
function gateOf(state: WorkflowState, task: TaskState) {
  const { planGate: gate } = state;
  return gate?.kind === "asked" && task.stage.kind === "pending" && isReady(state, task) ? gate : undefined;
}

function waitOf(state: WorkflowState, task: TaskState): WaitingFor | undefined {
  const { stage } = task;
  const gate = gateOf(state, task);
  if (gate) return { reason: "person", since: time(gate.since), item: gate.item };
  if (isSettled(stage) || stage.kind === "running" || stage.kind === "proposing" || !("since" in stage))
    return undefined;
  const since = time(stage.since);
  if (stage.kind === "waiting") {
    const until = stage.expiresAt === undefined ? {} : { until: time(stage.expiresAt) };
    return { reason: "person", since, ...until, item: stage.item };
  }
  if (stage.kind === "parked") return { reason: "handoff" in stage.awaits ? "handoff" : "signal", since };
  if (stage.kind !== "pending" && stage.kind !== "failing") return { reason: "worker", since };
  if (stage.kind === "failing") return { reason: "retry-backoff", since };
  const startAt = state.status === "queued" ? startOf(state) : 0;
  if (startAt > 0) return { reason: "schedule", since, until: time(startAt) };
  if (!isReady(state, task)) return { reason: "dependency", since };
  if (stage.notBefore !== undefined) return { reason: "retry-backoff", since, until: time(stage.notBefore) };
  return { reason: "concurrency", since };
}
