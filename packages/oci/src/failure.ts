import { StoreUnavailableError } from "@flotilla/workflow";

/**
 * Why a call to OCI failed, by what it means for the caller. `unavailable`: no answer, or one that says that the service
 * is at fault; `throttled`: it wants fewer calls; both are tried again while there is time. `missing` and `conflict` are
 * answers about what was asked for; `refused` is every other one, and `unauthenticated` that the credentials are.
 */
export type OciFailureKind = "unavailable" | "throttled" | "missing" | "conflict" | "refused" | "unauthenticated";

/** A call to OCI that failed for good. The cause of a `StoreUnavailableError` where the service was not to be had. */
export class OciFailure extends Error {
  readonly kind: OciFailureKind;
  /** Name of the operation, as OCI gives it. */
  readonly operation: string;
  /** Of the answer, if there was one. */
  readonly status?: number;
  /** In the words of OCI, as `BucketNotFound`. */
  readonly serviceCode?: string;
  /** For whoever asks Oracle what happened. */
  readonly requestId?: string;
  /** What the service asked for with `Retry-After`. */
  readonly retryAfterMs?: number;

  constructor(kind: OciFailureKind, operation: string, details: OciFailureDetails = {}) {
    const { message, cause, ...facts } = details;
    super(`${operation}: ${message ?? kind}`, { cause });
    this.name = "OciFailure";
    this.kind = kind;
    this.operation = operation;
    Object.assign(this, facts);
  }
}

/** The error as callers of a port are told it: they repeat what a store that is away did not do, and nothing else. */
export function toldToCallers(error: unknown): unknown {
  const isAway = error instanceof OciFailure && (error.kind === "unavailable" || error.kind === "throttled");
  return isAway ? new StoreUnavailableError({ cause: error }) : error;
}

/** What is known of a failure. */
export interface OciFailureDetails {
  message?: string;
  cause?: unknown;
  status?: number;
  serviceCode?: string;
  requestId?: string;
  retryAfterMs?: number;
}

/** The failure that an answer of the service is. */
export function failureOf(operation: string, status: number, headers: Headers, body: string): OciFailure {
  const { code, message } = errorIn(body);
  const requestId = headers.get("opc-request-id");
  const retryAfterMs = retryAfter(headers.get("retry-after"));
  return new OciFailure(kindOf(status, code), operation, {
    message: message ?? `status ${status}`,
    status,
    ...(code !== undefined && { serviceCode: code }),
    ...(requestId !== null && { requestId }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

function kindOf(status: number, code: string | undefined): OciFailureKind {
  if (status === 401) return "unauthenticated";
  if (status === 404) return "missing";
  if (status === 429) return "throttled";
  // These two 409 say that somebody else is at it right now, and not that the condition does not hold.
  if (status === 409 && (code === "IncorrectState" || code === "ConcurrentObjectUpdate")) return "unavailable";
  if (status === 409 || status === 412) return "conflict";
  return status === 408 || status >= 500 ? "unavailable" : "refused";
}

function errorIn(body: string): { code?: string; message?: string } {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null) return {};
    return {
      ...("code" in parsed && typeof parsed.code === "string" && { code: parsed.code }),
      ...("message" in parsed && typeof parsed.message === "string" && { message: parsed.message }),
    };
  } catch {
    return {};
  }
}

/** Seconds or a date, as RFC 9110 has it. */
function retryAfter(text: string | null): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
