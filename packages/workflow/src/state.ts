import type { CompensationEnd } from "./compensation.ts";
import type { Artifact } from "./event.ts";
import type { Failure } from "./failure.ts";
import type { HandoffState, TaskOrigin } from "./handoff.ts";
import type { ItemKind } from "./item.ts";
import type { Json } from "./json.ts";
import type { Needs } from "./plan.ts";
import type { AgentRecovery, Recoverable } from "./recovery.ts";
import type { PlanGate } from "./plan-approval.ts";
import type { Revision } from "./revision.ts";
import type { PhaseRequest, Priority, TaskRequest, WorkflowRequest } from "./request.ts";
import type { SharedValue } from "./shared.ts";
import type { WorkflowStatus } from "./view.ts";
import type { Gift, Postponement, SignalWait } from "./wait.ts";

/** Where a task stands. Times are Redis time in ms. See docs/state-machine.md. */
export type TaskStage =
  /** Not scheduled; not before `notBefore` when it is tried again. */
  | { kind: "pending"; since: number; notBefore?: number }
  /** Dispatched to its queue and not claimed yet. */
  | { kind: "scheduled"; since: number }
  | { kind: "running"; since: number }
  /** Its claim ended without a result: the same attempt is dispatched again, with what it has waited for, or in its time. */
  | {
      kind: "returned";
      since: number;
      gift?: Gift;
      postponed?: { reason: Postponement["reason"]; of: string; until: number };
    }
  /** The process that it had to itself died; the next look asks a person. */
  | { kind: "condemned"; since: number; reason: string }
  /** For a person to settle an item before it expires; with a verdict, for the look that carries it out. */
  | {
      kind: "waiting";
      since: number;
      item: string;
      about: ItemKind;
      expiresAt?: number;
      verdict?: ItemVerdict;
      /** Of the attempt that a person is asked about. */
      error?: Failure;
      /** What the task has done and appends, where they are asked about that. */
      proposal?: Proposal;
    }
  /** For something that no person of the inbox gives. No worker has it. */
  | { kind: "parked"; since: number; awaits: SignalWait | { handoff: number } }
  /** The attempt failed; another is made unless the fallback takes over, or a person is asked. */
  | { kind: "failing"; since: number; error: Failure; next?: "fallback" | "escalate" }
  /** Done, with phases to append that nobody has looked at yet. */
  | ({ kind: "proposing"; since: number; isApproved?: true } & Proposal)
  | { kind: "completed"; at: number; output: TaskOutput }
  /** Done, and undone. */
  | { kind: "compensated"; at: number }
  /** For good; with an end, what that means for the workflow whatever `onFailure` says. */
  | { kind: "failed"; at: number; error: Failure; ends?: "workflow" | "nothing" }
  | { kind: "cancelled"; at: number };

/** Why a task fails that has waited for a person: they gave it up, or said nothing in time. */
export type ItemVerdict = { kind: "given-up"; reason: string } | { kind: "expired" };

/** What a task has done, and the phases that are to follow. */
export interface Proposal {
  output: TaskOutput;
  append: unknown[];
}

/** What a task gave: the log holds it up to 1 KB, beyond that only its size. */
export interface TaskOutput {
  bytes: number;
  inline?: Json;
  artifacts: readonly Artifact[];
}

export interface TaskState extends Recoverable {
  readonly id: string;
  /** Number of its phase. */
  readonly phase: number;
  readonly input: Json;
  readonly needs: Needs;
  readonly dependsOn: readonly string[];
  readonly priority: Priority;
  readonly timeoutMs: number | undefined;
  /** When it is to be done; see `taskDeadline` for whether that holds. */
  readonly deadline: number | undefined;
  readonly backoffMs: number;
  readonly onFailure: "fail" | "continue" | "compensate";
  /** How it is undone. */
  readonly compensate: TaskRequest["compensate"] | undefined;
  /** Place of the line that completed it; 0 before. */
  readonly doneSeq: number;
  /** What was wrong with the phases that it appended last; undefined while nothing was. */
  readonly revision: Revision | undefined;
  /** Undefined for a task of the plan. */
  readonly origin: TaskOrigin | undefined;
  readonly stage: TaskStage;
  /** Number of the last dispatch of that attempt; 0 before the first. */
  readonly dispatch: number;
  /** Epoch of the last claim; 0 before the first. */
  readonly epoch: number;
  /** Workers that died holding it, over all attempts. */
  readonly deaths: number;
  readonly startedAt: number | undefined;
}

export interface PhaseState {
  readonly request: PhaseRequest;
  /** Tasks of the phase that are not settled. */
  readonly open: number;
}

/** A workflow as its log tells it: the result of folding every event, in order. */
export interface WorkflowState {
  readonly id: string;
  readonly tenant: string;
  readonly request: WorkflowRequest;
  /** Of the request that made it, where that was traced: whatever is done for it goes on from there. */
  readonly traceparent: string | undefined;
  readonly status: WorkflowStatus;
  readonly phases: readonly PhaseState[];
  readonly tasks: ReadonlyMap<string, TaskState>;
  /** Most tasks dispatched at once, over the whole workflow. */
  readonly concurrency: number;
  readonly isPlanned: boolean;
  /** Undefined while nobody was asked about the plan of the request, and nobody has denied one. */
  readonly planGate: PlanGate | undefined;
  /** By name the places of the signals that have come, in order. */
  readonly signals: ReadonlyMap<string, readonly number[]>;
  /** What its agents share, by name. */
  readonly shared: ReadonlyMap<string, SharedValue>;
  /** By their numbers. */
  readonly handoffs: ReadonlyMap<number, HandoffState>;
  /** What is done about failures of tasks that do not say it themselves. */
  readonly recovery: AgentRecovery;
  readonly cancel: { reason?: string; compensate?: true } | undefined;
  /** What it comes to once all that is to be undone is. */
  readonly compensation: CompensationEnd | undefined;
  /** Tries of a task that does not say it itself. */
  readonly defaultAttempts: number;
  readonly error: (Failure & { taskId?: string }) | undefined;
  /** Deadlines up to then hold no more: somebody has asked to go on after them. */
  readonly deadlinesFrom: number;
  /** Place of the last event folded. */
  readonly seq: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly endedAt: number | undefined;
}

export function isSettled(stage: TaskStage): boolean {
  switch (stage.kind) {
    case "completed":
    case "compensated":
    case "failed":
    case "cancelled":
      return true;
    case "pending":
    case "scheduled":
    case "running":
    case "returned":
    case "condemned":
    case "waiting":
    case "parked":
    case "failing":
    case "proposing":
      return false;
  }
}

/** A task as the plan has it. */
export function requestOf({ phases, tasks }: WorkflowState, taskId: string): TaskRequest | undefined {
  const phase = phases[tasks.get(taskId)?.phase ?? -1];
  return phase?.request.tasks.find(({ id }) => id === taskId);
}

/** Whether a worker has it, or will find it in its queue. */
export function isOutstanding(stage: TaskStage): boolean {
  return stage.kind === "scheduled" || stage.kind === "running";
}

/** The failure of a task that ends its workflow: any but under `onFailure: continue`, and one that aborts in any case. */
export function fatalFailure({ stage, onFailure, origin }: TaskState): Failure | undefined {
  if (stage.kind !== "failed" || stage.ends === "nothing") return undefined;
  // What was handed over fails whoever waits for it, and that one decides, unless a person has.
  if (origin) return stage.ends === "workflow" ? stage.error : undefined;
  return onFailure !== "continue" || aborts(stage) ? stage.error : undefined;
}

/** Whether a task has come to an end that aborts its workflow: a critical failure, a strategy, or the word of a person. */
export function aborts(stage: TaskStage): boolean {
  return stage.kind === "failed" && (stage.ends === "workflow" || stage.error.class === "critical");
}

/** Whether everything that is open waits for a person or a signal, or for a task that does. */
export function isParked(state: Pick<WorkflowState, "phases" | "tasks">): boolean {
  let waits = false;
  for (const task of state.tasks.values()) {
    const { stage } = task;
    if (isSettled(stage)) continue;
    // It waits for what another task waits for, if that does.
    if (stage.kind === "parked" && "handoff" in stage.awaits) continue;
    if (stage.kind === "parked" || (stage.kind === "waiting" && stage.verdict === undefined)) waits = true;
    else if (stage.kind !== "pending" || isReady(state, task)) return false;
  }
  return waits;
}

/** Whether all that a task needs is settled. What undoes goes on past what waits for a person. */
export function isReady(
  { phases, tasks }: Pick<WorkflowState, "phases" | "tasks">,
  { needs, undoes }: TaskState,
): boolean {
  if (needs.phase !== undefined && phases[needs.phase]?.open !== 0) return false;
  return needs.tasks.every((id) => {
    const needed = tasks.get(id);
    return !needed || isSettled(needed.stage) || (undoes !== undefined && needed.stage.kind === "waiting");
  });
}
