import type { EventBody, EventOf, ForkOrigin, WorkflowEvent } from "./event.ts";
import { fold } from "./fold.ts";
import type { WorkflowRequest } from "./request.ts";
import { fatalFailure, type TaskStage, type TaskState, type WorkflowState } from "./state.ts";

/** A claim as a fork begins with it: of a task that is done, or closed until the task is dispatched in the fork. */
export interface ForkedClaim {
  taskId: string;
  attempt: number;
  dispatch: number;
  epoch: number;
  /** Claims of that attempt so far. */
  claims: number;
  /** Place of the line that completed the task; 0 for one that is to run. */
  completedAt: number;
}

/** A new workflow that shares the first lines of another. */
export interface Fork {
  kind: "fork";
  /** Its first line. The time in `forkedFrom` is 0: whoever stores the fork knows it. */
  submitted: EventOf<"workflow.submitted"> & { data: { forkedFrom: ForkOrigin } };
  /** What follows the shared lines, so that what was under way there runs anew. */
  facts: readonly EventBody[];
  /** What all of that folds to. */
  state: WorkflowState;
  claims: readonly ForkedClaim[];
  /** Tasks whose outputs the shared lines do not hold themselves. */
  outputs: readonly string[];
}

/** There is no fork from that place; `largest` is the last one that there is. */
export interface Unforkable {
  kind: "unforkable";
  largest: number;
}

/**
 * The workflow `id` that shares lines 2 to `fromSeq` of `log` and goes on from there, with another input if one is
 * given. Completed tasks and accepted failures keep what they came to; whatever else had begun is begun anew.
 */
export function forkLog(
  id: string,
  source: string,
  log: readonly WorkflowEvent[],
  { fromSeq, input, traceparent }: { fromSeq: number; input?: WorkflowRequest["input"]; traceparent?: string },
): Fork | Unforkable {
  const places = forkPlaces(log);
  const [first, ...rest] = log.slice(0, fromSeq);
  if (!places.has(fromSeq) || first?.type !== "workflow.submitted") {
    return { kind: "unforkable", largest: largestForkPlace(log) };
  }
  const { tenant, request } = first.data;
  // Before the request: what an input says can never be taken for it.
  const forkedFrom = { id: source, seq: fromSeq, at: 0 };
  const submitted: Fork["submitted"] = {
    type: "workflow.submitted",
    data: {
      forkedFrom,
      tenant,
      request: input === undefined ? request : { ...request, input },
      ...(traceparent === undefined ? {} : { traceparent }),
    },
  };
  const shared = fold(id, undefined, [{ seq: 1, at: first.at, ...submitted }, ...rest]);
  const facts = factsOf(shared);
  const at = shared.updatedAt;
  const state = fold(
    id,
    shared,
    facts.map((fact, index) => ({ ...fact, seq: fromSeq + index + 1, at })),
  );
  return { kind: "fork", submitted, facts, state, claims: claimsOf(state, rest), outputs: keptOutputs(state) };
}

/** The last place from which a workflow with this log can be forked. */
export function largestForkPlace(log: readonly { seq: number; type: string }[]): number {
  return Math.max(...forkPlaces(log));
}

/** The places after which the workflow was open and nobody had asked for its end. */
function forkPlaces(log: readonly { seq: number; type: string }[]): Set<number> {
  const places = new Set<number>();
  let isOpen = true;
  for (const { seq, type } of log) {
    // Nothing can follow these that a fork could go on from.
    if (type === "cancel.requested" || type === "workflow.cancelled" || type === "workflow.compensating") break;
    if (type === "workflow.completed" || type === "workflow.failed" || type === "workflow.aborted") isOpen = false;
    if (type === "retry.requested") isOpen = true;
    if (isOpen) places.add(seq);
  }
  return places;
}

function factsOf({ tasks, planGate }: WorkflowState): EventBody[] {
  const facts: EventBody[] = [];
  // The question is the source's, and the word against the plan too: here it is asked anew.
  if (planGate && planGate.kind !== "approved") facts.push({ type: "item.expired", data: { item: planGate.item } });
  for (const { id: taskId, attempt, epoch, stage } of tasks.values()) {
    if (!isUnderWay(stage)) continue;
    const at = epoch > 0 ? { taskId, attempt, epoch } : { taskId, attempt };
    facts.push({ type: "task.released", ...at, data: { reason: "forked" } });
  }
  const hasFailed = [...tasks.values()].some((task) => task.stage.kind === "cancelled" || fatalFailure(task));
  return hasFailed ? [...facts, { type: "retry.requested", data: {} }] : facts;
}

/** Whether somebody in the source is at it. Phases proposed there are none yet: for another input they may differ. */
function isUnderWay(stage: TaskStage): boolean {
  switch (stage.kind) {
    case "scheduled":
    case "running":
    case "proposing":
    // The item and the doubt are the source's: here nothing has happened yet.
    case "condemned":
    case "waiting":
      return true;
    // What was handed over is under way itself, and comes back to it here too.
    case "parked":
      return "signal" in stage.awaits;
    case "pending":
    case "returned":
    case "failing":
    case "completed":
    case "compensated":
    case "failed":
    case "cancelled":
      return false;
  }
}

function claimsOf({ tasks }: WorkflowState, shared: readonly WorkflowEvent[]): ForkedClaim[] {
  const started = new Map<string, EventOf<"task.started">>();
  const completed = new Map<string, number>();
  for (const event of shared) {
    if (event.type === "task.started") started.set(event.taskId, event);
    if (event.type === "task.completed") completed.set(event.taskId, event.seq);
  }
  return [...tasks.values()].filter(isKnown).map(({ id: taskId, attempt, dispatch, epoch, stage }) => {
    const last = started.get(taskId);
    const claims = last?.attempt === attempt ? last.data.claim : 0;
    const completedAt = stage.kind === "completed" ? (completed.get(taskId) ?? 0) : 0;
    return { taskId, attempt, dispatch, epoch, claims, completedAt };
  });
}

/** Whether it was ever dispatched: of any other task the claim is open without a word. */
function isKnown({ attempt, dispatch, epoch }: TaskState): boolean {
  return attempt > 1 || dispatch > 0 || epoch > 0;
}

function keptOutputs({ tasks }: WorkflowState): string[] {
  return [...tasks.values()].flatMap(({ id, stage }) =>
    stage.kind === "completed" && stage.output.inline === undefined ? [id] : [],
  );
}
