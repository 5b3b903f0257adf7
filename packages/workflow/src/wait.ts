import { z } from "zod";

/** A step that waits for a signal: what it is called, and which of that name, from 1; and its place in the journal. */
export const SignalWait = z.object({
  signal: z.string(),
  nth: z.int().min(1),
  step: z.string(),
  inputHash: z.string(),
});
export type SignalWait = z.infer<typeof SignalWait>;

/** The name of a signal. */
export const SignalName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^#\p{Cc}]*$/u, "must not hold # or control characters");

/** Where in the log or beside it the result of a step stands that something else than its run has given. */
export type Given =
  /** In the line of that place, a signal. */
  { signal: number };

/** A result for a step, to be put into the journal with the dispatch that lets the task go on. */
export interface Gift {
  step: string;
  inputHash: string;
  given: Given;
}

/** What an entry of the journal holds where the result itself is elsewhere; see `Given`. */
export const GivenRecord = z.strictObject({ signal: z.int() });

/** What a signal said, as the journal gives it to the step that waited. */
export const SignalRecord = z.strictObject({ data: z.json().exactOptional() });
