/** What an error says of itself, whoever made it; read once, so that the rules are a table over it. */
export interface ErrorFacts {
  /** The kind of error: the name of its class. */
  name: string;
  /** Codes that programs compare, in the order of what they say: of the provider in its answer, then of the library. */
  codes: readonly string[];
  /** Of the HTTP answer. */
  status: number | undefined;
  message: string;
  /** How long the other side asks to wait, in ms. */
  retryAfterMs: number | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** What a thrown value says of itself. A plain object is read as an error is: the OCI SDK throws such. */
export function factsOf(thrown: unknown, now: number): ErrorFacts {
  const fields = fieldsOf(thrown);
  const message = typeof thrown === "string" ? thrown : (text(fields.message) ?? "");
  const body = bodyOf(fields);
  // Where its circuit is open, the OCI SDK gives a code in the place of the status.
  const codes = [
    body.code,
    body.type,
    fields.serviceCode,
    fields.statusCode,
    fields.code,
    replyCode(fields.name, message),
  ];
  return {
    name: text(fields.name) ?? "",
    codes: codes.flatMap((code) => text(code) ?? []),
    status: number(fields.statusCode) ?? number(fields.status) ?? number(fieldsOf(fields.response).status),
    message,
    retryAfterMs: retryAfterMs(fields, now),
  };
}

/** The errors that stand behind one: its cause, the last of several tries, or all that were tried at once. */
export function causesOf(thrown: unknown): unknown[] {
  const { cause, lastError, errors } = fieldsOf(thrown);
  const several: unknown[] = Array.isArray(errors) ? errors : [];
  // The AI SDK wraps the last of several tries in an error without a cause.
  return [cause, lastError, ...(lastError === undefined ? several : [])].filter((link) => link !== undefined);
}

function fieldsOf(value: unknown): Fields {
  // Read as a record: every field is unknown until it is looked at.
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** The error in the answer of a provider: `{error: {code, type}}` as OpenAI has it, `{code}` as OCI does, parsed or not. */
function bodyOf({ error, data, responseBody, body }: Fields): Fields {
  for (const candidate of [error, data, responseBody, body]) {
    const parsed = fieldsOf(typeof candidate === "string" ? parsedJson(candidate) : candidate);
    const inner = typeof parsed.error === "object" ? fieldsOf(parsed.error) : parsed;
    if (text(inner.code) !== undefined || text(inner.type) !== undefined) return inner;
  }
  return {};
}

function parsedJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Redis says what is wrong in the first word of its answer. */
function replyCode(name: unknown, message: string): string | undefined {
  return name === "ReplyError" ? /^[A-Z]+/.exec(message)?.[0] : undefined;
}

/** `Retry-After` in seconds or as a date, or `retry-after-ms`, which says it finer. */
function retryAfterMs(fields: Fields, now: number): number | undefined {
  const headers = [fields.responseHeaders, fields.headers, fieldsOf(fields.response).headers];
  const read = (name: string) => headers.map((all) => headerOf(all, name)).find((value) => value !== undefined);
  const exactly = Number(read("retry-after-ms") ?? Number.NaN);
  if (exactly >= 0) return Math.ceil(exactly);
  const value = read("retry-after");
  if (value === undefined) return undefined;
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(value) - now : seconds * 1000;
  return Number.isNaN(ms) ? undefined : Math.max(0, Math.ceil(ms));
}

function headerOf(headers: unknown, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const found = Object.entries(fieldsOf(headers)).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof found === "number" ? String(found) : text(found);
}
