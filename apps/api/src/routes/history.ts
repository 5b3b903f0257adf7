import type { CallbackRules } from "@flotilla/runtime";
import { SubmitView, WorkflowRequest, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { RecentAgents } from "../agent-catalog.ts";
import { callerOf } from "../authentication.ts";
import { parse } from "../parse.ts";
import { invalidBody, Problem } from "../problem.ts";
import { answerSubmitted, idempotencyDoc, idempotencyOf, submitView } from "../submission.ts";
import { found, idOf, refuseWhatCannotRun, required, WorkflowParams } from "./workflows.ts";

const RetryRequest = z.strictObject({});

const ForkRequest = z.strictObject({
  fromSeq: z.int().min(1).meta({ description: "the last event that the fork shares" }),
  input: WorkflowRequest.shape.input.exactOptional().meta({ description: "in place of that of the source" }),
});

/** What retry and fork need. */
export interface HistoryRoutes {
  store: Pick<WorkflowStore, "events" | "retry" | "fork">;
  agents: RecentAgents;
  callbacks: CallbackRules | undefined;
}

/** Going on from what a workflow has done: retry and fork. */
export function historyRoutes(app: FastifyInstance, { store, agents, callbacks }: HistoryRoutes): void {
  app.route({
    method: "POST",
    url: "/workflows/:id/retry",
    config: {
      doc: {
        id: "retryWorkflow",
        summary: "Let a workflow that failed or was aborted go on from what it has completed",
        params: WorkflowParams,
        headers: idempotencyDoc("the same key retries a workflow once"),
        body: { schema: RetryRequest, isRequired: false },
        answers: { 202: { description: "The status right after", content: { "application/json": SubmitView } } },
        problems: ["not-found", "not-retryable", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { id } = idOf(WorkflowParams, request.params);
      parse(RetryRequest, request.body ?? {});
      const { kind, status } = found(await store.retry(callerOf(request).tenant, id, idempotencyOf(request)?.key));
      if (kind === "refused")
        throw new Problem(
          "not-retryable",
          `the workflow is ${status}: only one that failed or was aborted, and was not undone, goes on`,
        );
      reply.code(202);
      return submitView(id, status);
    },
  });

  app.route({
    method: "POST",
    url: "/workflows/:id/fork",
    config: {
      doc: {
        id: "forkWorkflow",
        summary: "Start a new workflow that shares what another had done up to an event",
        params: WorkflowParams,
        headers: idempotencyDoc("the same key and body give the same fork of a workflow"),
        body: { schema: ForkRequest, isRequired: true },
        answers: {
          202: {
            description: "The new workflow, stored",
            content: { "application/json": SubmitView },
            headers: { Location: "where the new workflow is" },
          },
        },
        problems: ["not-found", "idempotency-conflict", "not-supported", "unknown-outcome"],
      },
    },
    handler: async (request, reply) => {
      const { id } = idOf(WorkflowParams, request.params);
      const { tenant } = callerOf(request);
      const idempotency = idempotencyOf(request);
      const fork = parse(ForkRequest, required(request.body));
      if (fork.input !== undefined) {
        const { events } = found(await store.events(tenant, id, 0, 1));
        const [first] = events;
        // The plan was accepted once; the new input is as any that is submitted.
        if (first?.type === "workflow.submitted") {
          await refuseWhatCannotRun({ ...first.data.request, input: fork.input }, { agents, callbacks });
        }
      }
      const outcome = found(await store.fork(tenant, id, fork, idempotency));
      if (outcome.kind !== "unforkable") return answerSubmitted(reply, outcome);
      const message = `there the workflow is not open or has no such event; the largest allowed is ${outcome.largest}`;
      throw invalidBody([{ path: "/fromSeq", code: "not-forkable", message }]);
    },
  });
}
