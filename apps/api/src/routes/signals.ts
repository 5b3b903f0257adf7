import { isDeeperThan, type Json, SignalName, SubmitView, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callerOf } from "../authentication.ts";
import { parse } from "../parse.ts";
import { Problem } from "../problem.ts";
import { idempotencyDoc, idempotencyOf, submitView } from "../submission.ts";
import { found, idOf, required, WorkflowParams } from "./workflows.ts";

/** What a signal says is a line of the log. */
const maxDataBytes = 32_768;
const maxDataDepth = 32;

const SignalRequest = z.strictObject({
  name: SignalName,
  data: z
    .custom<Json>((value) => value !== undefined, "is required")
    .refine(
      (value) => !isDeeperThan(value, maxDataDepth) && Buffer.byteLength(JSON.stringify(value)) <= maxDataBytes,
      "must be at most 32 KB of JSON, 32 levels deep",
    )
    .exactOptional()
    .meta({ description: "for the tasks that wait for it; null unless given" }),
});

/** Telling a workflow something while it runs. */
export function signalRoutes(app: FastifyInstance, { store }: { store: Pick<WorkflowStore, "signal"> }): void {
  app.route({
    method: "POST",
    url: "/workflows/:id/signals",
    config: {
      doc: {
        id: "signalWorkflow",
        summary: "Tell a workflow something: tasks that wait for it, now or later, go on with its data",
        params: WorkflowParams,
        headers: idempotencyDoc("the same key and body are one signal to a workflow"),
        body: { schema: SignalRequest, isRequired: true },
        answers: { 202: { description: "The status right after", content: { "application/json": SubmitView } } },
        problems: ["not-found", "already-settled", "idempotency-conflict", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { id } = idOf(WorkflowParams, request.params);
      const signal = parse(SignalRequest, required(request.body));
      const { tenant, id: by } = callerOf(request);
      const outcome = found(await store.signal(tenant, id, { ...signal, by }, idempotencyOf(request)));
      switch (outcome.kind) {
        case "sent":
        case "repeated":
          reply.code(202);
          return submitView(id, outcome.status);
        case "conflict":
          throw new Problem("idempotency-conflict", "the key came before with another signal to this workflow");
        case "ended":
          throw new Problem("already-settled", "the workflow has ended, or is being cancelled");
      }
    },
  });
}
