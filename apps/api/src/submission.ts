import { hash } from "node:crypto";
import { canonicalJson, type SubmitOutcome, type SubmitView, type WorkflowStatus } from "@flotilla/workflow";
import type { FastifyReply, FastifyRequest } from "fastify";
import { parse } from "./parse.ts";
import { Problem } from "./problem.ts";
import { IdempotencyHeader } from "./query.ts";

/** What is said about `Idempotency-Key` on a call where repeating it under the same key has this effect. */
export function idempotencyDoc(effect: string): Record<string, string> {
  return { "Idempotency-Key": `1 to 255 printable ASCII characters; ${effect}` };
}

/** The idempotency key of a request with what tells its body apart; undefined where it has none. */
export function idempotencyOf(request: FastifyRequest): { key: string; bodyHash: string } | undefined {
  const { "idempotency-key": key } = parse(IdempotencyHeader, request.headers, "/headers");
  return key === undefined ? undefined : { key, bodyHash: hash("sha256", canonicalJson(request.body)) };
}

/** Answers 202 with the workflow that was stored, now or before under the same key. Throws on a conflict. */
export function answerSubmitted(reply: FastifyReply, outcome: SubmitOutcome): SubmitView {
  if (outcome.kind === "conflict") {
    throw new Problem("idempotency-conflict", `the key came before with another body and made ${outcome.id}`);
  }
  reply.code(202).header("location", pathOf(outcome.id));
  return submitView(outcome.id, outcome.status);
}

/** What calls that start or change a workflow answer. */
export function submitView(id: string, status: WorkflowStatus): SubmitView {
  const self = pathOf(id);
  return { id, status, links: { self, events: `${self}/events`, cancel: `${self}/cancel` } };
}

function pathOf(id: string): string {
  return `/v1/workflows/${id}`;
}
