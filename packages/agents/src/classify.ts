import { AISDKError, APICallError, UnsupportedFunctionalityError } from "@ai-sdk/provider";
import { type Failure, type FailureClass, StoreUnavailableError, TaskError } from "@flotilla/workflow";

/** What a foreign error means; the message is added from the error itself. */
type Verdict = Omit<Failure, "message">;

/** Longest message that goes into the log of a workflow; the whole error is in the log of the process. */
const maxMessageLength = 2000;

/** Deepest chain of causes that is looked through, so that a cyclic one ends. */
const maxCauses = 5;

const networkCodes = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** Errors of the AI SDK, by name, that say that what the model answered is of no use. */
const badOutputNames = new Set([
  "AI_InvalidToolInputError",
  "AI_NoObjectGeneratedError",
  "AI_NoOutputGeneratedError",
  "AI_NoSuchToolError",
  "AI_ToolChoiceViolationError",
]);

/**
 * Says what kind of failure a thrown value is, and so whether it is tried again. The first thing in the chain of
 * causes that is known decides; what is not known at all is `unknown`. Each code is in docs/errors.md.
 */
export function classify(thrown: unknown): Failure {
  let link = thrown;
  for (let depth = 0; depth < maxCauses && link !== undefined; depth++) {
    if (link instanceof TaskError) return { ...link.failure, message: shorten(link.failure.message) };
    const verdict = judge(link);
    if (verdict) return { ...verdict, message: messageOf(thrown) };
    link = causeOf(link);
  }
  return { class: "unknown", code: "unexpected", message: messageOf(thrown) };
}

function judge(error: unknown): Verdict | undefined {
  if (!(error instanceof Error)) return undefined;
  if (APICallError.isInstance(error)) return judgeCall(error);
  if (AISDKError.isInstance(error) && badOutputNames.has(error.name)) return verdict("data", "bad-model-output");
  // The same model would lack it the next time.
  if (UnsupportedFunctionalityError.isInstance(error)) return verdict("data", "provider-refused");
  if (error instanceof StoreUnavailableError) return verdict("transient", "store-unavailable");
  if (error.name === "TimeoutError") return verdict("transient", "call-timeout");
  if ("code" in error && typeof error.code === "string" && networkCodes.has(error.code)) {
    return verdict("transient", "network");
  }
  return undefined;
}

/** A call to a provider, by the status that it answered with. */
function judgeCall(error: APICallError): Verdict {
  const status = error.statusCode;
  // No status: the connection failed. A status below 400: the body was not what the protocol promises.
  if (status === undefined) return verdict("transient", "network");
  if (status < 400) return verdict("transient", "provider-bad-response");
  if (status === 429) return verdict("rate-limit", "rate-limited");
  if (status === 401 || status === 402 || status === 403) return verdict("critical", "provider-denied");
  if (status === 408 || status === 409 || status >= 500) return verdict("transient", "provider-unavailable");
  return verdict("data", "provider-refused");
}

function verdict(failureClass: FailureClass, code: string): Verdict {
  return { class: failureClass, code };
}

function causeOf(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  // The AI SDK wraps the last of several tries in an error without a cause.
  return "lastError" in error ? error.lastError : error.cause;
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return shorten(thrown.message || thrown.name);
  return shorten(typeof thrown === "string" ? thrown : "something that is not an error was thrown");
}

function shorten(message: string): string {
  return message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength)}…`;
}
