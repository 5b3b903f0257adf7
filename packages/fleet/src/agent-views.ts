import type { AgentView } from "@flotilla/workflow";
import { backlogOf } from "./fleet-numbers.ts";
import { agentQueue } from "./keys.ts";
import type { Queues } from "./queues.ts";
import { type RegisteredAgent, registeredAgents } from "./registry.ts";
import type { Scripts } from "./scripts.ts";

/** The agent types as the API gives them, sorted by their names. */
export async function agentViews(scripts: Scripts, queues: Queues): Promise<AgentView[]> {
  const agents = await registeredAgents(scripts);
  return Promise.all(
    agents.map(async (agent) => viewOf(agent, backlogOf(await queues.depth(agentQueue(agent.descriptor.type))))),
  );
}

function viewOf({ descriptor, workers, known, pausedSince }: RegisteredAgent, backlog: number): AgentView {
  const { type, description, input, output, tools, mayPlan } = descriptor;
  return {
    type,
    description,
    input,
    output,
    tools,
    permissions: { tools: tools.map(({ name }) => name), mayPlan },
    workers,
    knownWorkers: known,
    backlog,
    paused: pausedSince !== undefined,
    ...(pausedSince === undefined ? {} : { pausedSince: new Date(pausedSince).toISOString() }),
  };
}
