import type { Failure } from "@flotilla/workflow";
import type { ErrorFacts } from "./error-facts.ts";

/** What an error means; the message is added from the error itself. */
export type Verdict = Pick<Failure, "class" | "code">;

/** Errors that mean the same, by what they say of themselves. */
interface Rule extends Verdict {
  /** Any of these names of classes. */
  names?: readonly string[];
  /** Any of these codes. */
  codes?: readonly string[];
  /** Codes that begin so. */
  prefix?: string;
}

const rules: readonly Rule[] = [
  {
    class: "data",
    code: "bad-model-output",
    names: [
      "AI_InvalidToolInputError",
      "AI_NoObjectGeneratedError",
      "AI_NoOutputGeneratedError",
      "AI_NoSuchToolError",
      "AI_ToolChoiceViolationError",
      "AI_TypeValidationError",
    ],
  },
  // The same model would lack it the next time.
  {
    class: "data",
    code: "provider-refused",
    names: ["AI_UnsupportedFunctionalityError", "AI_NoSuchModelError", "AI_InvalidPromptError"],
    codes: ["model_not_found", "invalid_request_error", "InvalidParameter", "MissingParameter"],
  },
  {
    class: "critical",
    code: "provider-denied",
    names: ["AI_LoadAPIKeyError"],
    codes: [
      "invalid_api_key",
      "account_deactivated",
      "authentication_error",
      "permission_error",
      "NotAuthenticated",
      "NotAuthorized",
      "NotAuthorizedOrNotFound",
      "SignUpRequired",
      "NotAllowed",
    ],
  },
  {
    class: "data",
    code: "context-too-long",
    codes: ["context_length_exceeded", "string_above_max_length"],
  },
  {
    class: "data",
    code: "content-filtered",
    codes: ["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"],
  },
  // Not the pace but the purse or a limit of the account: it ends later, if it ends.
  {
    class: "rate-limit",
    code: "quota-exceeded",
    codes: ["insufficient_quota", "billing_hard_limit_reached", "QuotaExceeded", "LimitExceeded"],
  },
  {
    class: "rate-limit",
    code: "rate-limited",
    names: ["RateLimitError"],
    codes: ["rate_limit_exceeded", "rate_limit_error", "TooManyRequests"],
  },
  {
    class: "transient",
    code: "provider-unavailable",
    codes: [
      "server_error",
      "overloaded_error",
      "InternalServerError",
      "ServiceUnavailable",
      "IncorrectState",
      "EOPENBREAKER",
    ],
  },
  {
    class: "transient",
    code: "provider-bad-response",
    names: ["AI_JSONParseError", "AI_EmptyResponseBodyError", "AI_InvalidResponseDataError"],
    prefix: "HPE_",
  },
  {
    class: "transient",
    code: "store-unavailable",
    names: ["StoreUnavailableError", "MaxRetriesPerRequestError", "ClusterAllFailedError"],
    codes: [
      "BUSY",
      "CLUSTERDOWN",
      "LOADING",
      "MASTERDOWN",
      "MISCONF",
      "NOREPLICAS",
      "OOM",
      "READONLY",
      "TRYAGAIN",
      "UNBLOCKED",
    ],
  },
  { class: "critical", code: "store-denied", codes: ["NOAUTH", "NOPERM", "WRONGPASS"] },
  { class: "data", code: "unrecoverable", names: ["UnrecoverableError"] },
  { class: "transient", code: "out-of-memory", codes: ["ENOMEM", "ERR_WORKER_OUT_OF_MEMORY"] },
  {
    class: "data",
    code: "data-too-large",
    codes: ["ERR_STRING_TOO_LONG", "ERR_BUFFER_TOO_LARGE", "ERR_FS_FILE_TOO_LARGE"],
  },
  { class: "transient", code: "no-room", codes: ["EDQUOT", "EMFILE", "ENFILE", "ENOSPC"] },
  { class: "critical", code: "permission-denied", codes: ["EACCES", "EPERM", "ERR_ACCESS_DENIED"] },
  {
    class: "critical",
    code: "certificate-refused",
    codes: [
      "CERT_HAS_EXPIRED",
      "CERT_NOT_YET_VALID",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
  },
  { class: "data", code: "invalid-address", codes: ["ERR_INVALID_URL", "ERR_INVALID_PROTOCOL"] },
  {
    class: "transient",
    code: "network",
    codes: [
      "EAI_AGAIN",
      "ECONNABORTED",
      "ECONNREFUSED",
      "ECONNRESET",
      "EHOSTDOWN",
      "EHOSTUNREACH",
      "ENETDOWN",
      "ENETRESET",
      "ENETUNREACH",
      "ENOTFOUND",
      "EPIPE",
      "EPROTO",
      "ERR_SOCKET_CLOSED",
      "ERR_STREAM_PREMATURE_CLOSE",
      "ETIMEDOUT",
    ],
    prefix: "ERR_HTTP2_",
  },
  // Other libraries use the name for anything that took too long; what the network says of itself goes before it.
  { class: "transient", code: "call-timeout", names: ["TimeoutError"], codes: ["ERR_SOCKET_CONNECTION_TIMEOUT"] },
  { class: "transient", code: "network", prefix: "UND_ERR_" },
];

/** What libraries say in words alone. Whole phrases of theirs: a message of an agent may hold any word. */
const phrases: readonly (Verdict & { phrase: RegExp })[] = [
  {
    class: "data",
    code: "context-too-long",
    phrase: /maximum context length is|total number of tokens .{0,80}exceed/i,
  },
  { class: "data", code: "content-filtered", phrase: /^inappropriate content detected/i },
  {
    class: "transient",
    code: "out-of-memory",
    phrase: /JavaScript heap out of memory|^Array buffer allocation failed/,
  },
  {
    class: "transient",
    code: "store-unavailable",
    phrase:
      /^(Connection is closed\.|Command timed out|Command aborted due to connection close|Stream isn't writeable and enableOfflineQueue options is false)$/,
  },
  {
    class: "transient",
    code: "job-lost",
    phrase: /^(Missing lock for job |Lock mismatch for job |job stalled more than allowable limit)/,
  },
  {
    class: "transient",
    code: "network",
    phrase: /^(socket hang up|fetch failed|terminated|other side closed|connect ETIMEDOUT)$/,
  },
];

/** What the class or a code of an error says that it means, else the status of the HTTP answer; undefined where neither does. */
export function judgeFacts({ name, codes, status, message }: ErrorFacts): Verdict | undefined {
  // A bad request has one code for all that may be wrong with it, and says in words that it was too long.
  const spoken = status === 400 ? judgePhrase(message) : undefined;
  return spoken ?? judgeNames(name, codes, status) ?? (status === undefined ? undefined : judgeStatus(status));
}

/** What the words of an error say that it means: the last resort. */
export function judgePhrase(message: string): Verdict | undefined {
  return verdictOf(phrases.find(({ phrase }) => phrase.test(message)));
}

function judgeNames(name: string, codes: readonly string[], status: number | undefined): Verdict | undefined {
  const byName = rules.find(({ names }) => names?.includes(name));
  if (byName) return verdictOf(byName);
  for (const code of codes) {
    // The type of all that OpenAI refuses, be it for good or not: the status says more.
    if (code === "invalid_request_error" && status !== undefined) continue;
    const byCode = rules.find((rule) => rule.codes?.includes(code) || (rule.prefix && code.startsWith(rule.prefix)));
    if (byCode) return verdictOf(byCode);
  }
  return undefined;
}

function judgeStatus(status: number): Verdict {
  // Below 400, the body was not what the protocol promises.
  if (status < 400) return { class: "transient", code: "provider-bad-response" };
  if (status === 429) return { class: "rate-limit", code: "rate-limited" };
  if (status === 401 || status === 402 || status === 403 || status === 407) {
    return { class: "critical", code: "provider-denied" };
  }
  if (status === 408 || status === 409 || status === 425 || status >= 500) {
    return { class: "transient", code: "provider-unavailable" };
  }
  return { class: "data", code: "provider-refused" };
}

function verdictOf(found: Verdict | undefined): Verdict | undefined {
  return found && { class: found.class, code: found.code };
}
