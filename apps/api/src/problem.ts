import { STATUS_CODES } from "node:http";
import type { Issue } from "@flotilla/workflow";
import type { FastifyReply } from "fastify";
import { z } from "zod";

/** Media type of every answer that is an error (RFC 9457). */
export const problemType = "application/problem+json";

/** Most problems listed in one answer: a hostile body of 1 MiB could name more than a hundred thousand. */
const maxListed = 1000;

const kinds = {
  "bad-request": { status: 400, title: "the request is not well-formed HTTP" },
  "invalid-json": { status: 400, title: "the body is not JSON" },
  "invalid-body": { status: 400, title: "the request does not have the right shape" },
  "invalid-cursor": { status: 400, title: "the cursor is not one of this list" },
  unauthenticated: { status: 401, title: "a valid API key is needed" },
  forbidden: { status: 403, title: "the API key does not allow this" },
  "not-found": { status: 404, title: "there is no such thing" },
  "method-not-allowed": { status: 405, title: "the method is not allowed here" },
  "request-timeout": { status: 408, title: "the request took too long to arrive" },
  "idempotency-conflict": { status: 409, title: "the idempotency key was used with another body" },
  "already-settled": { status: 409, title: "it was settled before" },
  "not-finished": { status: 409, title: "the task is not finished" },
  "not-retryable": { status: 409, title: "the workflow cannot be retried" },
  "too-large": { status: 413, title: "the body is too large or too deep" },
  "unsupported-media-type": { status: 415, title: "the body must be application/json" },
  "not-supported": { status: 422, title: "this release does not support that" },
  "rate-limited": { status: 429, title: "too many requests" },
  "headers-too-large": { status: 431, title: "the request headers are too large" },
  "internal-error": { status: 500, title: "something went wrong inside" },
  "store-unavailable": { status: 503, title: "the store is unavailable" },
  "unknown-outcome": { status: 503, title: "nobody knows whether it was done" },
} as const;

/** What went wrong, in one word that programs compare. */
export type ProblemCode = keyof typeof kinds;

/** An error as clients see it: the body of every answer from 400 up. */
export const ProblemView = z.object({
  type: z.string().meta({ description: "a URN that names the code" }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errors: z
    .array(z.object({ path: z.string().meta({ description: "JSON pointer" }), code: z.string(), message: z.string() }))
    .exactOptional(),
});

/** The HTTP status that goes with a code. */
export function statusOf(code: ProblemCode): number {
  return kinds[code].status;
}

/** What a problem says beside its code. */
export interface ProblemOptions {
  errors?: readonly Issue[];
  headers?: Record<string, string>;
  cause?: unknown;
}

/** Thrown by whatever handles a request; the error handler turns it into the answer. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly Issue[];
  readonly headers: Record<string, string>;

  constructor(code: ProblemCode, detail: string, { errors = [], headers = {}, cause }: ProblemOptions = {}) {
    super(detail, { cause });
    this.name = "Problem";
    this.code = code;
    this.errors = errors;
    this.headers = headers;
  }

  get status(): number {
    return statusOf(this.code);
  }

  toJSON(): z.infer<typeof ProblemView> {
    const unlisted = this.errors.length - maxListed;
    return {
      type: `urn:flotilla:problem:${this.code}`,
      title: kinds[this.code].title,
      status: this.status,
      detail: unlisted > 0 ? `${this.message}; ${unlisted} more are not listed` : this.message,
      code: this.code,
      ...(this.errors.length > 0 && { errors: this.errors.slice(0, maxListed) }),
    };
  }
}

/** For anything that is not there, or is another tenant's: the answers must not differ. */
export function notFound(): Problem {
  return new Problem("not-found", "nothing is here for this API key");
}

/** All problems of one request at once. */
export function invalidBody(errors: readonly Issue[]): Problem {
  const count = errors.length === 1 ? "1 problem was" : `${errors.length} problems were`;
  return new Problem("invalid-body", `${count} found`, { errors });
}

/** Answers a request with a problem. As bytes: to text Fastify adds a charset, which the media type does not have. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .header("content-type", problemType)
    .send(Buffer.from(JSON.stringify(problem)));
}

/** The whole answer as it goes over the wire, for a socket whose request never became one. */
export function problemOnTheWire(problem: Problem): string {
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}`,
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body,
  ].join("\r\n");
}
