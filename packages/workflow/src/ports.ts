import type { Artifact } from "./event.ts";
import type { Failure } from "./failure.ts";
import type { Json } from "./json.ts";
import type { PhaseRequest } from "./request.ts";

/** Content-addressed storage: a blob is named by the SHA-256 (hex) of its bytes and never changes. */
export interface BlobStore {
  /** Stores the bytes; storing them again is a no-op. Bounded memory for streams. */
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
  /** Rises with every claim of the task; what an older epoch writes is refused. */
  epoch: number;
}

/** A step that has run: its result, or where the result is kept. */
export interface JournalEntry {
  key: string;
  inputHash: string;
  result: Json;
}

/** The durable steps of one claimed task. Every write is fenced by the claim. */
export interface Journal {
  /** What earlier claims and attempts recorded, in any order. */
  load(): Promise<JournalEntry[]>;
  /** Keeps a result for ever. Throws `ClaimLostError` if the claim was superseded or cancelled. */
  record(entry: JournalEntry): Promise<void>;
  /** Tells watchers how far the task is; never wakes the supervisor. */
  progress(message: string): Promise<void>;
}

/** How a claimed task ended, as its executor sees it. */
export type TaskOutcome =
  | { kind: "completed"; output: Json; artifacts?: Artifact[]; append?: PhaseRequest[] }
  | { kind: "failed"; error: Failure };

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
