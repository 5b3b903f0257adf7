import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import type { Fault } from "./faults.ts";

/** Largest body that is JSON: a full `PutMessages` in base64, and room for its frame. */
const maxJsonBytes = 2_500_000;

/** A refusal in the words of OCI: status, code, message. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** Refuses with 400 `InvalidParameter`. */
export function invalid(message: string): Refusal {
  return new Refusal(400, "InvalidParameter", message);
}

/** One signed request, on its way to its operation. */
export interface Call {
  /** By their names in the pattern of the route, decoded. */
  path: Readonly<Record<string, string>>;
  query: URLSearchParams;
  request: IncomingMessage;
  /** All of a body that is JSON; empty for the bytes of objects, which are read from `request`. */
  body: Buffer;
  /** What befalls the operation within. */
  fault: Fault | undefined;
}

/** What an operation answers. A body that is iterated goes out as bytes, every other one as JSON. */
export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: string | object | AsyncIterable<Uint8Array>;
}

/** One operation of a service, under the name that OCI gives it. */
export interface Operation {
  name: string;
  method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Segments in braces are named; `{name...}` takes what is left of the path. */
  pattern: string;
  /**
   * JSON that the signature covers, unless said: `unsigned` is JSON that it does not, for the SDK leaves out the hash of
   * messages, and `bytes` are those of an object, which the operation reads itself.
   */
  body?: "unsigned" | "bytes";
  answer(call: Call): Promise<Reply> | Reply;
}

/** Parameter of the path; the router has put it there. */
export function pathOf(call: Call, name: string): string {
  const value = call.path[name];
  if (value === undefined) throw invalid(`the path has no ${name}`);
  return value;
}

/** A whole number of the query within its bounds. */
export function numberOf(query: URLSearchParams, name: string, fallback: number, min: number, max: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) throw invalid(`${name} must be from ${min} to ${max}`);
  return value;
}

/** All of a body that is JSON; of one that is signed, proven by its hash. */
export async function wholeBody(request: IncomingMessage, isSigned: boolean): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > maxJsonBytes) {
    throw new Refusal(413, "RequestEntityTooLarge", "the body is too large");
  }
  const body = await buffer(request);
  const hash = createHash("sha256").update(body).digest("base64");
  if (isSigned && hash !== request.headers["x-content-sha256"]) throw notAuthenticated();
  return body;
}

/** The JSON of the body. No body is an empty object, as the SDK sends it. */
export function jsonOf<S extends z.ZodType>({ body }: Call, schema: S): z.output<S> {
  const parsed = schema.safeParse(jsonIn(body));
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  return parsed.data;
}

function jsonIn(bytes: Buffer): unknown {
  if (bytes.byteLength === 0) return {};
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw new Refusal(400, "CannotParseRequest", "the body is not JSON");
  }
}

/** Refuses with 401, and as OCI does, without saying why. */
export function notAuthenticated(): Refusal {
  return new Refusal(
    401,
    "NotAuthenticated",
    "The required information to complete authentication was not provided or was incorrect.",
  );
}
