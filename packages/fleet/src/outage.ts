import { StoreUnavailableError, UnknownOutcomeError } from "@flotilla/workflow";

/** What Redis answers while it cannot do what it is asked, and may be able to a moment later. */
const passingReplies =
  /^(LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|MISCONF|NOREPLICAS|UNBLOCKED|MOVED|ASK|OOM|BUSY)\b|\bREADONLY\b/;

/** What the driver says when it has no connection to send on, and has sent nothing. */
const unsentCalls = /^(Stream isn't writeable|Cluster isn't ready|None of startup nodes is available)/;

/** Other words of the driver for a connection that is gone, or an answer that did not come. */
const brokenCalls =
  /^(Command timed out|Connection is closed|Cluster is ended|Failed to refresh slots cache|Too many Cluster redirections|Socket timeout)|ECONN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH/;

/** Whether Redis, and not the call, was at fault: the call may be repeated. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof StoreUnavailableError) return true;
  if (["MaxRetriesPerRequestError", "AbortError", "ClusterAllFailedError"].includes(error.name)) return true;
  return [passingReplies, unsentCalls, brokenCalls].some((words) => words.test(error.message));
}

/** A write that failed, as callers of the store are told it: the store was not available, or nobody knows. */
export function failedWrite(error: unknown): StoreUnavailableError {
  if (error instanceof StoreUnavailableError) return error;
  const { name, message } = error instanceof Error ? error : { name: "", message: "" };
  const isUndone = name === "ReplyError" || unsentCalls.test(message) || passingReplies.test(message);
  return isUndone ? new StoreUnavailableError({ cause: error }) : new UnknownOutcomeError({ cause: error });
}
