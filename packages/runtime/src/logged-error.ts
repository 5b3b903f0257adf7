/** Longest message or stack in a line. */
const maxLength = 4000;

/** Most causes of one error. */
const maxDepth = 5;

/** What an error may say beside its message. Libraries hang whole requests and commands on theirs, with what is in them. */
const knownFacts = [
  "address",
  "code",
  "errno",
  "failure",
  "kind",
  "operation",
  "port",
  "reason",
  "requestId",
  "serviceCode",
  "status",
  "statusCode",
  "syscall",
] as const;

/** An error as a line of the log has it. */
export function loggedError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === "string" ? shortened(error) : plainFacts(error);
  const { name, message, stack, cause } = error;
  const others = error instanceof AggregateError ? error.errors.slice(0, maxDepth) : [];
  return {
    type: name,
    message: shortened(message),
    stack: shortened(stack ?? ""),
    ...factsOf(error),
    ...(others.length > 0 && depth < maxDepth && { errors: others.map((other) => loggedError(other, depth + 1)) }),
    ...(cause !== undefined && depth < maxDepth && { cause: loggedError(cause, depth + 1) }),
  };
}

/** Of what is thrown and is no error. */
function plainFacts(thrown: unknown): unknown {
  if (typeof thrown !== "object" || thrown === null) return thrown;
  const message = "message" in thrown && typeof thrown.message === "string" ? shortened(thrown.message) : undefined;
  return { type: "no error", ...(message !== undefined && { message }), ...factsOf(thrown), ...checksOf(thrown) };
}

/** The report of health checks, which is handed on as a cause. */
function checksOf(thrown: object): object {
  return "checks" in thrown ? { checks: thrown.checks } : {};
}

function factsOf(thrown: object): Record<string, unknown> {
  const facts: Record<string, unknown> = {};
  for (const name of knownFacts) {
    const value: unknown = Reflect.get(thrown, name);
    if (value !== undefined && typeof value !== "function") facts[name] = value;
  }
  return facts;
}

function shortened(text: string): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}
