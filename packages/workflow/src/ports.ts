import type { Artifact } from "./event.ts";
import type { ApprovalRequest, Doubt } from "./item.ts";
import type { Budget, HoldAnswer, Spend } from "./cost.ts";
import type { Failure } from "./failure.ts";
import type { Json } from "./json.ts";
import type { Revision } from "./revision.ts";
import type { SharedAccess } from "./shared.ts";
import type { HandoffRequest, Postponement, SignalWait, TaskGrant } from "./wait.ts";

/** Content-addressed storage: a blob is named by the SHA-256 (hex) of its bytes and never changes. */
export interface BlobStore {
  /**
   * Stores the bytes; storing them again is a no-op. Bounded memory for streams. Rejects with `StoreUnavailableError`
   * when there is no room for them now.
   */
  put(
    content: Uint8Array | AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ sha256: string; bytes: number }>;
  /** The bytes in order, or undefined when no such blob is held. */
  get(sha256: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** A task that this process has claimed, its templates resolved: all that an executor needs to know. */
export interface ClaimedTask {
  tenant: string;
  workflowId: string;
  taskId: string;
  agent: string;
  input: Json;
  /** Tries of the task, from 1. */
  attempt: number;
  /** Claims of this attempt, from 1: above 1, an earlier worker died or handed the task back. */
  claim: number;
  /** What it may at most, where it was handed over. */
  grant?: TaskGrant;
  /** Rises with every claim of the task; what an older epoch writes is refused. */
  epoch: number;
  /** What the workflow may spend on models, where that is bounded. */
  budget?: Budget;
  /** Begins the keys of its steps where the agent took over from another, whose steps are not its own. */
  scope?: string;
  /** What was wrong with the phases that it appended last, where it is to make them anew. */
  revision?: Revision;
  /** W3C trace context of the claim, where it is traced. */
  traceparent?: string;
}

/** A step that has run: its result, or where the result is kept. */
export interface RecordedStep {
  key: string;
  inputHash: string;
  result: Json;
}

/** What the result of a step cost, and the hold that was set apart for it. */
export interface Payment {
  spend: Spend;
  hold?: string;
}

/** An effect that was about to happen, and of which no result is known. */
export interface IntendedEffect {
  key: string;
  inputHash: string;
  intent: { class: EffectClass; key: string };
}

/** What a journal holds under the key of a step. */
export type JournalEntry = RecordedStep | IntendedEffect;

/**
 * How an effect is treated that may have happened: `idempotent` runs again with the same key, of a `queryable` one is
 * asked whether it happened, and an `unsafe` one never runs again by itself. What is `pure` is no effect, but a step.
 */
export type EffectClass = "idempotent" | "queryable" | "unsafe";

/** The durable steps of one claimed task. Every write is fenced by the claim: `ClaimLostError` once it is lost. */
export interface Journal {
  /** What earlier claims and attempts recorded, in any order. */
  load(): Promise<JournalEntry[]>;
  /** Keeps a result for ever, and counts what it cost, once however often it is said; its hold ends with that. */
  record(entry: RecordedStep, payment?: Payment): Promise<void>;
  /** Sets apart, before a call of a model, what it may cost at most: the workflow spends no more than its budget. */
  hold(hold: string, atMost: Spend): Promise<HoldAnswer>;
  /** Ends a hold whose call certainly cost nothing. One that is never ended counts as spent. */
  release(hold: string): Promise<void>;
  /** Reads or changes what the agents of the workflow share; the result of the step, or undefined where there is no room. */
  share(access: SharedAccess): Promise<RecordedStep | undefined>;
  /** Says that an effect is about to happen; it may happen once this resolves. */
  intend(entry: IntendedEffect): Promise<void>;
  /** Keeps the result of an effect in place of its intent. */
  conclude(entry: RecordedStep): Promise<void>;
  /** Takes an intent back: the effect certainly did not happen. */
  withdraw(key: string): Promise<void>;
  /** Tells watchers how far the task is; never wakes the supervisor. */
  progress(message: string): Promise<void>;
}

/** How a claimed task ended, as its executor sees it. */
export type TaskOutcome =
  | { kind: "completed"; output: Json; artifacts?: Artifact[]; append?: unknown[] }
  | { kind: "failed"; error: Failure }
  /** An effect may have happened and nobody knows: the task waits for a person, its attempt unspent. */
  | { kind: "parked"; doubt: Doubt }
  /** A person must say first that what comes next may be done: the task waits for them, its attempt unspent. */
  | { kind: "asks"; approval: ApprovalRequest }
  /** It waits for what is not there yet: no worker is needed until it is, its attempt unspent. */
  | { kind: "awaits"; awaits: SignalWait }
  /** What it needs is not to be had for a while: it is tried again then, its attempt unspent. */
  | { kind: "postponed"; by: Postponement }
  /** Another agent is to do a piece of it first: no worker is needed until that is done, its attempt unspent. */
  | { kind: "hands-over"; handoff: HandoffRequest }
  /** The process that the task had to itself died, and that was its own doing: nobody had told it to end. */
  | { kind: "died"; reason: string };

/**
 * Runs one claimed task to its end. Throws only `ClaimLostError`, or the reason of `signal`;
 * every other failure is an outcome.
 */
export type Executor = (task: ClaimedTask, journal: Journal, signal: AbortSignal) => Promise<TaskOutcome>;

/** The claim is no longer this process's: what it writes is refused, so it stops. */
export class ClaimLostError extends Error {
  readonly reason: "superseded" | "cancelled" | "ended";

  constructor(reason: ClaimLostError["reason"]) {
    super(`claim lost: ${reason}`);
    this.name = "ClaimLostError";
    this.reason = reason;
  }
}

/**
 * Keeps work away from what fails for everybody. A circuit is opened by calls that fail, for the whole fleet; after a
 * while a few calls are let through, and the first of them that succeeds closes it.
 */
export interface Circuits {
  /**
   * Makes the call and hands on what it gives or throws; `isFault` tells which errors speak against the circuit, be it
   * closed or the call a probe. Rejects with `CircuitOpenError`, the call not made, while it is open.
   */
  run<T>(circuit: string, call: () => Promise<T>, isFault: IsFault): Promise<T>;
}

/** Tells whether an error of a call speaks against its circuit. */
export type IsFault = (error: unknown, isProbe: boolean) => boolean;

/** Circuits that never open. */
export const noCircuits: Circuits = { run: (_circuit, call) => call() };

/** What the providers of models give in a minute, shared by the fleet. */
export interface ModelLimits {
  /** Takes a call of that provider out of this minute: 0, or in how many ms there is one again. */
  take(provider: string): Promise<number>;
  /** Counts what a call has spent. */
  spent(provider: string, tokens: number): Promise<void>;
}

/** Providers that give as much as is asked for. */
export const noModelLimits: ModelLimits = { take: async () => 0, spent: async () => undefined };

/** A call was not made: others of its kind have failed a moment ago. */
export class CircuitOpenError extends Error {
  readonly circuit: string;
  /** When it may be tried again. */
  readonly retryInMs: number;

  constructor(circuit: string, retryInMs: number) {
    super(`the circuit ${circuit} is open`);
    this.name = "CircuitOpenError";
    this.circuit = circuit;
    this.retryInMs = retryInMs;
  }
}

/** The reason of an abort by shutdown: the task goes back without spending an attempt. */
export class ShutdownError extends Error {
  constructor() {
    super("the worker is shutting down");
    this.name = "ShutdownError";
  }
}

/** What the fleet knows of an agent type: registered by its workers, read by API and supervisor. */
export interface AgentDescriptor {
  type: string;
  description: string;
  /** JSON Schema (2020-12). */
  input: Json;
  output: Json;
  tools: { name: string; description: string }[];
  /** Whether results may append phases. */
  mayPlan: boolean;
}
