import { runChecks } from "@flotilla/runtime";
import type { WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { openApiOf } from "../openapi.ts";
import { Problem } from "../problem.ts";
import type { RouteIndex } from "../route-index.ts";

const CheckResults = z.object({
  ok: z.boolean(),
  checks: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string().exactOptional() })),
});

/** What the service's own routes need. */
export interface ServiceRoutes {
  store: Pick<WorkflowStore, "ping">;
  routes: RouteIndex;
}

/** Health, readiness and the description of the API; all without a key. */
export function serviceRoutes(app: FastifyInstance, { store, routes }: ServiceRoutes): void {
  const report = { description: "All is well", content: { "application/json": CheckResults } };

  app.route({
    method: "GET",
    url: "/health",
    config: {
      doc: {
        id: "health",
        summary: "Whether the process lives",
        isPublic: true,
        answers: { 200: report },
        problems: [],
      },
    },
    handler: async () => runChecks({}),
  });

  app.route({
    method: "GET",
    url: "/ready",
    config: {
      doc: {
        id: "ready",
        summary: "Whether the process can serve: the store answers within a second",
        isPublic: true,
        answers: { 200: report },
        problems: ["store-unavailable"],
      },
    },
    handler: async () => {
      const checks = await runChecks({ redis: async () => (await store.ping(), { ok: true }) });
      if (!checks.ok) {
        // What the check found may name hosts: it goes to the log only.
        const headers = { "retry-after": "1" };
        throw new Problem("store-unavailable", "the store does not answer", { headers, cause: checks });
      }
      return checks;
    },
  });

  let description: unknown;
  app.route({
    method: "GET",
    url: "/openapi.json",
    config: {
      doc: {
        id: "openApi",
        summary: "This description",
        isPublic: true,
        answers: { 200: { description: "OpenAPI 3.1", content: { "application/json": z.looseObject({}) } } },
        problems: [],
      },
    },
    handler: async () => (description ??= openApiOf(routes.documented)),
  });
}
