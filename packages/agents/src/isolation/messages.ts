import { type ClaimedTask, ClaimLostError, type Journal, ShutdownError, type TaskOutcome } from "@flotilla/workflow";

/** A call of the journal, which the worker makes under its claim: `name` and the arguments as `Journal` has them. */
export type JournalCall = {
  [K in keyof Journal]: { name: K; args: Parameters<Journal[K]> };
}[keyof Journal];

/** What any call of the journal gives; each name has one of these. */
export type JournalAnswer = Awaited<ReturnType<Journal[keyof Journal]>>;

/** What a worker tells the process of a task. */
export type ToTask =
  | { kind: "run"; task: ClaimedTask }
  | { kind: "answered"; call: number; answer: JournalAnswer }
  | { kind: "refused"; call: number; error: ErrorOnWire }
  | { kind: "abort"; error: ErrorOnWire };

/** What the process of a task tells its worker. */
export type ToWorker =
  | { kind: "ready" }
  | { kind: "call"; call: number; journal: JournalCall }
  | { kind: "ended"; outcome: TaskOutcome }
  /** What an executor may throw: the claim is lost, or the signal was aborted. */
  | { kind: "stopped"; error: ErrorOnWire };

/** An error that an executor knows by its class; of any other only the message goes over. */
export type ErrorOnWire =
  | { name: "ClaimLostError"; reason: ClaimLostError["reason"] }
  | { name: "ShutdownError" }
  | { name: "Error"; message: string };

export function onWire(error: unknown): ErrorOnWire {
  if (error instanceof ClaimLostError) return { name: "ClaimLostError", reason: error.reason };
  if (error instanceof ShutdownError) return { name: "ShutdownError" };
  return { name: "Error", message: error instanceof Error ? error.message : String(error) };
}

export function offWire(error: ErrorOnWire): Error {
  switch (error.name) {
    case "ClaimLostError":
      return new ClaimLostError(error.reason);
    case "ShutdownError":
      return new ShutdownError();
    case "Error":
      return new Error(error.message);
  }
}
