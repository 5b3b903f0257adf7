import { problemOf, type ProblemError, UnreachableError } from "./errors.ts";

/** What the client reads of a response; a `Response` is one. */
export interface Reply {
  ok: boolean;
  status: number;
  statusText: string;
  headers: { get(name: string): string | null };
  body: ReadableStream<Uint8Array> | null;
  text(): Promise<string>;
  bytes(): Promise<Uint8Array>;
}

/** What the client asks of `fetch`; the global one is one. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal?: AbortSignal },
) => Promise<Reply>;

/** What the client is made of: where the service is, who calls, and how patient it is. */
export interface Transport {
  /** Without a slash at the end. */
  url: string;
  apiKey?: string;
  fetch: Fetch;
  /** How long a call is repeated while the service is away. */
  retryMs: number;
  /** How long one try may take, its `read` included. */
  timeoutMs: number;
}

/** One call. Each of them may be repeated safely: reads, idempotent writes, and submits under a key. */
export interface Call<T> {
  method?: "GET" | "POST" | "DELETE";
  path: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** Takes what is wanted from a successful response; a body that breaks off here is a try that failed. */
  read: (response: Reply) => T | Promise<T>;
  signal?: AbortSignal | undefined;
}

const firstPauseMs = 100;
const longestPauseMs = 2000;

/**
 * Makes the call, again while the service is away, for `retryMs` at most; `Retry-After` is respected.
 * Throws `ProblemError`, `UnreachableError`, or the reason of `signal`.
 */
export async function send<T>(transport: Transport, call: Call<T>): Promise<T> {
  const giveUpAt = Date.now() + transport.retryMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const attempt = await tryOnce(transport, call);
    if (attempt.kind === "answered") return attempt.value;
    const waitMs = attempt.retryAfterMs ?? pauseMs;
    if (!attempt.mayRepeat || Date.now() + waitMs > giveUpAt) throw attempt.error;
    await pause(waitMs, call.signal);
  }
}

type Attempt<T> =
  | { kind: "answered"; value: T }
  | { kind: "refused"; error: ProblemError | UnreachableError; mayRepeat: boolean; retryAfterMs?: number };

async function tryOnce<T>(transport: Transport, call: Call<T>): Promise<Attempt<T>> {
  // Not AbortSignal.timeout: that would end a stream, too, long after its head was read.
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new Error("no answer in time")), transport.timeoutMs);
  try {
    // Called without a receiver: a browser's fetch refuses any but its window.
    const { fetch, url } = transport;
    const response = await fetch(url + call.path, requestOf(transport, call, patience.signal));
    if (!response.ok) return await refusalOf(response);
    return { kind: "answered", value: await call.read(response) };
  } catch (error) {
    call.signal?.throwIfAborted();
    if (!isNetworkFailure(error, patience.signal)) throw error;
    return { kind: "refused", error: new UnreachableError(transport.url, { cause: error }), mayRepeat: true };
  } finally {
    clearTimeout(timer);
  }
}

function requestOf<T>(transport: Transport, call: Call<T>, patience: AbortSignal) {
  const headers: Record<string, string> = { accept: "application/json", ...call.headers };
  if (transport.apiKey !== undefined) headers.authorization = `Bearer ${transport.apiKey}`;
  if (call.body !== undefined) headers["content-type"] = "application/json";
  return {
    method: call.method ?? "GET",
    headers,
    signal: call.signal ? AbortSignal.any([call.signal, patience]) : patience,
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  };
}

async function refusalOf<T>(response: Reply): Promise<Attempt<T>> {
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  const error = await problemOf(response);
  // 502 and 504 come from a gateway whose backend has gone: the same outage as our own 503.
  const mayRepeat = response.status === 502 || response.status === 503 || response.status === 504;
  return { kind: "refused", error, mayRepeat, ...(seconds >= 0 && { retryAfterMs: seconds * 1000 }) };
}

/** `fetch` and its bodies reject with a TypeError when the network fails, and with the signal's reason when aborted. */
export function isNetworkFailure(error: unknown, patience?: AbortSignal): boolean {
  return error instanceof TypeError || (patience?.aborted === true && error === patience.reason);
}

/** Resolves after `ms`, or rejects with the reason of `signal`. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
