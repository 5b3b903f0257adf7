import type { Socket } from "node:net";
import { StoreUnavailableError, UnknownOutcomeError } from "@flotilla/workflow";
import type { FastifyReply, FastifyRequest } from "fastify";
import { tenantOf } from "./authentication.ts";
import { notFound, Problem, problemOnTheWire, sendProblem } from "./problem.ts";

/** Anything thrown while a request was handled, as the problem that the client is told; the cause stays inside. */
function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof UnknownOutcomeError) {
    return new Problem("unknown-outcome", "it may have been done or not; ask again, with the same Idempotency-Key", {
      headers: { "retry-after": "1" },
      cause: error,
    });
  }
  if (error instanceof StoreUnavailableError) {
    return new Problem("store-unavailable", "try again; with the same Idempotency-Key if one was given", {
      headers: { "retry-after": "1" },
      cause: error,
    });
  }
  switch (codeOf(error)) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new Problem("unsupported-media-type", "send the body as application/json");
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new Problem("too-large", "the body is larger than 1 MiB");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
    case "ECONNRESET":
      return new Problem("invalid-json", "the body ended before its time");
    case "FST_ERR_BAD_URL":
    case "FST_ERR_MAX_PARAM_LENGTH":
      return notFound();
    default:
      return new Problem("internal-error", "the request was not handled; the log knows why", { cause: error });
  }
}

/** Answers with the problem that an error is, and logs what an operator must see. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem.status >= 500) {
    const facts = { tenant: tenantOf(request), code: problem.code, err: problem.cause };
    request.log[problem.status === 503 ? "warn" : "error"](facts, "a request failed");
  }
  // Fastify closes the connection when a body is refused. A client that is still sending would get a reset and never
  // read the answer; left open, Node swallows the rest, for as long as `requestTimeout` allows.
  reply.removeHeader("connection");
  return sendProblem(reply, problem);
}

/** Answers on a socket whose bytes never became a whole request: too slow, too long, or not HTTP. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(problemOnTheWire(brokenRequest(error.code)));
  // Not all of it may be sent to a peer that does not read: the socket must not outlive the answer for long.
  socket.setTimeout(1000, () => socket.destroy());
}

function brokenRequest(code: string | undefined): Problem {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Problem("request-timeout", "the whole request must arrive within 10 seconds");
    case "HPE_HEADER_OVERFLOW":
      return new Problem("headers-too-large", "the request headers are larger than 16 KiB");
    default:
      return new Problem("bad-request", "the request could not be read");
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
