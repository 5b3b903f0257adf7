import type { Client } from "@flotilla/client";
import type { AgentView } from "@flotilla/workflow";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";

/** Adds the commands about agent types: `agents`, `pause` and `resume`. */
export function addAgentCommands(host: CommandHost): void {
  addAgents(host);
  addOrder(host, "pause", "let the tasks of an agent type wait until it is resumed; those that run go on");
  addOrder(host, "resume", "let workers take the tasks of an agent type again");
}

function addAgents({ parent, act }: CommandHost): void {
  const command = parent
    .command("agents")
    .description("list the agent types with their workers and what waits for them");
  act(addConnectionOptions(command), z.object(connectionOptions), async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config);
    const agents = await client.agents({ signal: terminal.interrupted });
    if (terminal.json) terminal.emit({ agents });
    else for (const agent of agents) terminal.say(describeAgent(agent));
    return exitCode.done;
  });
}

function addOrder({ parent, act }: CommandHost, word: "pause" | "resume", description: string): void {
  const command = parent.command(word).description(`${description}; needs an operator's key`);
  addConnectionOptions(command.argument("<type>", "of the agents"));
  act(command, z.object(connectionOptions), async ({ options, config, terminal }, type = "") => {
    const client: Client = await connectFleet(options, config, "operator");
    const agent = await client[word](type, { signal: terminal.interrupted });
    if (terminal.json) terminal.emit(agent);
    else terminal.say(describeAgent(agent));
    return exitCode.done;
  });
}

function describeAgent({ type, workers, knownWorkers, backlog, pausedSince }: AgentView): string {
  const paused = pausedSince === undefined ? "" : `  paused since ${pausedSince}`;
  return `${type.padEnd(16)} ${workers} of ${knownWorkers} workers live, ${backlog} tasks waiting or running${paused}`;
}
