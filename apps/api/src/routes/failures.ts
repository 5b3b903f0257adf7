import { FailureView, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callerOf } from "../authentication.ts";
import { parse } from "../parse.ts";
import { Problem } from "../problem.ts";
import { FailureParameters } from "../query.ts";

const FailurePage = z.object({ failures: z.array(FailureView), cursor: z.string().exactOptional() });

/** What has failed, with its context. */
export function failureRoutes(app: FastifyInstance, { store }: { store: Pick<WorkflowStore, "failures"> }): void {
  app.route({
    method: "GET",
    url: "/failures",
    config: {
      doc: {
        id: "listFailures",
        summary: "List workflows that failed or were aborted, newest first, with the task and its last events",
        query: FailureParameters,
        answers: { 200: { description: "A page", content: { "application/json": FailurePage } } },
        problems: ["invalid-body", "invalid-cursor"],
      },
    },
    handler: async (request) => {
      const query = parse(FailureParameters, request.query, "/query");
      const page = await store.failures({ tenant: callerOf(request).tenant, ...query });
      if (page === undefined)
        throw new Problem("invalid-cursor", "use the cursor of an earlier page, with the same query");
      return page;
    },
  });
}
