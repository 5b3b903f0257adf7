import { AgentType, AgentView, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callerOf, refuseOthersThanOperators } from "../authentication.ts";
import { parse } from "../parse.ts";
import { found, idOf } from "./workflows.ts";

const AgentList = z.object({ agents: z.array(AgentView) });
const AgentParams = z.object({ type: AgentType });
const Order = z.strictObject({});

/** The agent types that tasks may name, and pausing one. */
export function agentRoutes(
  app: FastifyInstance,
  { store }: { store: Pick<WorkflowStore, "agents" | "pause" | "resume"> },
): void {
  app.route({
    method: "GET",
    url: "/agents",
    config: {
      doc: {
        id: "listAgents",
        summary: "List the agent types with their schemas, live workers and backlog, and whether they are paused",
        answers: { 200: { description: "The agent types", content: { "application/json": AgentList } } },
        problems: [],
      },
    },
    handler: async () => ({ agents: await store.agents() }),
  });

  const order = (word: "pause" | "resume", id: string, summary: string) =>
    app.route({
      method: "POST",
      url: `/agents/:type/${word}`,
      onRequest: refuseOthersThanOperators,
      config: {
        doc: {
          id,
          summary,
          params: AgentParams,
          body: { schema: Order, isRequired: false },
          answers: { 200: { description: "The agent type", content: { "application/json": AgentView } } },
          problems: ["forbidden", "not-found", "unknown-outcome"],
        },
      },
      handler: async (request) => {
        const { type } = idOf(AgentParams, request.params);
        parse(Order, request.body ?? {});
        return found(await store[word](type, callerOf(request).id));
      },
    });
  order("pause", "pauseAgent", "Let tasks of an agent type wait in their queue until it is resumed; for operators");
  order("resume", "resumeAgent", "Let workers take tasks of an agent type again; for operators");
}
