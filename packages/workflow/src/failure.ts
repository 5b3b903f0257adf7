import { z } from "zod";

/** What kind of failure it was; decides what happens next. See docs/errors.md. */
export const FailureClass = z.enum([
  "transient",
  "rate-limit",
  "unknown",
  "data",
  "critical",
  "deadline",
  "budget",
  "poison",
  "cancelled",
]);
export type FailureClass = z.infer<typeof FailureClass>;

export const Failure = z.object({
  class: FailureClass,
  code: z.string(),
  message: z.string(),
  retryAfterMs: z.int().exactOptional().meta({ description: "how long the other side asks to wait" }),
});
export type Failure = z.infer<typeof Failure>;

/** Whether another attempt may succeed where this one failed. */
export function isRetryable(failureClass: FailureClass): boolean {
  switch (failureClass) {
    case "transient":
    case "rate-limit":
    case "unknown":
      return true;
    case "data":
    case "critical":
    case "deadline":
    case "budget":
    case "poison":
    case "cancelled":
      return false;
  }
}

/**
 * An error with a class of its own. Agents throw it to say what a failure means;
 * whatever else is thrown is classified as `unknown`.
 */
export class TaskError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message, options);
    this.name = "TaskError";
    this.failure = failure;
  }
}

/** Deaths of a task's worker, in one attempt or over several, after which the task runs in a process of its own. */
export const isolationDeaths = 2;
