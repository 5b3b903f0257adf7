import { setTimeout as delay } from "node:timers/promises";
import { OciFailure } from "./failure.ts";
import { Transport } from "./transport.ts";

/** How patient a call is. */
export interface Patience {
  /** Of one attempt, until its answer is here; the bytes of an object may take longer. */
  attemptMs: number;
  attempts: number;
  /** From the first attempt until no further one is begun. */
  budgetMs: number;
}

/** Five attempts within half a minute: a short trouble is over by then, and whoever calls knows best what to do after it. */
const usualPatience: Patience = { attemptMs: 10_000, attempts: 5, budgetMs: 30_000 };

const firstPauseMs = 200;
const longestPauseMs = 5000;

/** One call of a client of the SDK. */
export interface OciCall<T> {
  /** Name of the operation, as OCI gives it. */
  operation: string;
  /** Makes the call; given the number of the attempt, from 1: after the first, an earlier one may have been done. */
  send: (attempt: number) => Promise<T>;
  transport: Transport;
  patience?: Partial<Patience>;
}

/**
 * Makes a call and makes it again where that may help: after a failure that is not for good, with a pause that doubles
 * and is spread by chance, or as long as `Retry-After` says; and once with a new token after a refused one. Rejects
 * with an `OciFailure`, or with the reason of the signal.
 */
export async function callOci<T>(
  { operation, send, transport, patience }: OciCall<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { attemptMs, attempts, budgetMs } = { ...usualPatience, ...patience };
  const started = performance.now();
  let isRefreshed = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptOnce(operation, () => send(attempt), attemptMs, signal);
    } catch (error) {
      if (!(error instanceof OciFailure)) throw error;
      if (error.kind === "unauthenticated" && !isRefreshed) {
        isRefreshed = true;
        if (await transport.refresh()) continue;
      }
      const pauseMs = error.retryAfterMs ?? pauseAfter(attempt);
      const isWorthwhile = error.kind === "unavailable" || error.kind === "throttled";
      const isTimeLeft = performance.now() - started + pauseMs < budgetMs;
      if (!isWorthwhile || attempt >= attempts || !isTimeLeft) throw error;
      await pause(pauseMs, signal);
    }
  }
}

async function attemptOnce<T>(
  operation: string,
  call: () => Promise<T>,
  attemptMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const deadline = new AbortController();
  const expired = new OciFailure("unavailable", operation, { message: `no answer within ${attemptMs} ms` });
  const timer = setTimeout(() => deadline.abort(expired), attemptMs);
  try {
    return await Transport.attempt(
      operation,
      call,
      signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal,
    );
  } finally {
    // What is still read of the answer is watched by the connection.
    clearTimeout(timer);
  }
}

function pauseAfter(attempt: number): number {
  return Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** attempt);
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
