import { AgentView, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";

const AgentList = z.object({ agents: z.array(AgentView) });

/** The agent types that tasks may name. */
export function agentRoutes(app: FastifyInstance, { store }: { store: Pick<WorkflowStore, "agents"> }): void {
  app.route({
    method: "GET",
    url: "/agents",
    config: {
      doc: {
        id: "listAgents",
        summary: "List the agent types with their schemas, live workers and backlog",
        answers: { 200: { description: "The agent types", content: { "application/json": AgentList } } },
        problems: [],
      },
    },
    handler: async () => ({ agents: await store.agents() }),
  });
}
