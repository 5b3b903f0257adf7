import { createHash } from "node:crypto";
import { canonicalJson, type Json, TaskError } from "@flotilla/workflow";

/** How often a task may make one and the same call, unless its worker is told otherwise. */
export const defaultLoopLimit = 8;

/**
 * Ends a task that goes round in a circle: one that calls the same tool with the same arguments, or hands the same work
 * to the same agents, again and again. Calls that are replayed count, so every run of a task ends at the same one.
 */
export class LoopGuard {
  readonly #limit: number;
  readonly #calls = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts a call. Throws `TaskError` of class `data`, code `loop`, for one that was made too often. */
  pass(what: string, input: Json): void {
    const call = createHash("sha256")
      .update(canonicalJson([what, input]))
      .digest("base64");
    const times = (this.#calls.get(call) ?? 0) + 1;
    this.#calls.set(call, times);
    if (times <= this.#limit) return;
    const message = `${what} was called ${times} times with the same arguments in one task`;
    throw new TaskError({ class: "data", code: "loop", message });
  }
}
