import type { Failure } from "./failure.ts";
import type { TaskState } from "./state.ts";

const longestMs = 30_000;
const widestJitterMs = 1000;

/**
 * The wait after a failed attempt, in ms: `min(backoffMs · 2^(n-1), 30 s)` for the nth failure of a budget, plus up to
 * `backoffMs`, at most 1 s; and never less than the other side asked for. The part that spreads retries comes from the names and not from chance, so that the
 * same log always gives the same decision.
 */
export function retryDelayMs(
  workflowId: string,
  { id, attempt, firstAttempt, backoffMs }: TaskState,
  { retryAfterMs = 0 }: Pick<Failure, "retryAfterMs"> = {},
): number {
  const wait = Math.max(retryAfterMs, Math.min(backoffMs * 2 ** (attempt - firstAttempt), longestMs));
  return Math.round(wait + spread(`${workflowId}/${id}/${attempt}`) * Math.min(backoffMs, widestJitterMs));
}

/** A number in [0, 1) that looks random and is always the same for the same text (FNV-1a, 32 bits). */
function spread(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) / 2 ** 32;
}
