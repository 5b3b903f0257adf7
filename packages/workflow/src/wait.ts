import { z } from "zod";
import { Failure } from "./failure.ts";
import type { Json } from "./json.ts";

/** A step that waits for a signal: what it is called, and which of that name, from 1; and its place in the journal. */
export const SignalWait = z.object({
  signal: z.string(),
  nth: z.int().min(1),
  step: z.string(),
  inputHash: z.string(),
});
export type SignalWait = z.infer<typeof SignalWait>;

/**
 * What keeps a task from its next try that passes by itself, and for how long. A duration, for the clock of who says it
 * may be wrong: it counts from the line that holds it.
 */
export const Postponement = z.object({
  reason: z.enum(["circuit-open", "provider-limit", "budget"]),
  of: z
    .string()
    .meta({ description: "name of the circuit, or of the provider as circuits name it; for a budget, `workflow`" }),
  forMs: z.int().min(0),
});
export type Postponement = z.infer<typeof Postponement>;

/** The name of a signal. */
export const SignalName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^#\p{Cc}]*$/u, "must not hold # or control characters");

/** Where in the log or beside it the result of a step stands that something else than its run has given. */
export type Given =
  /** In the line of that place, a signal. */
  | { signal: number }
  /** It is the output of that task. */
  | { output: string }
  /** There is none: it has failed. */
  | { failure: Failure };

/** A result for a step, to be put into the journal with the dispatch that lets the task go on. */
export interface Gift {
  step: string;
  inputHash: string;
  given: Given;
}

/** What an entry of the journal holds where the result itself is elsewhere; see `Given`. */
export const GivenRecord = z.union([
  z.strictObject({ signal: z.int() }),
  z.strictObject({ output: z.string() }),
  z.strictObject({ failure: Failure }),
]);

/** What a signal said, as the journal gives it to the step that waited. */
export const SignalRecord = z.strictObject({ data: z.json().exactOptional() });

/** What became of a handoff, as the journal gives it to the step that waited. */
export const HandoffRecord = z.union([z.strictObject({ output: z.json() }), z.strictObject({ failure: Failure })]);

/** What an agent hands over, and the step that waits for what comes of it. */
export interface HandoffRequest {
  to: string;
  payload: Json;
  step: string;
  inputHash: string;
}

/** What a task may at most, where somebody has handed it over. */
export const TaskGrant = z.object({ tools: z.array(z.string()), mayPlan: z.boolean() });
export type TaskGrant = z.infer<typeof TaskGrant>;
