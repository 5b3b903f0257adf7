import type { Logger, RedisSettings, Service } from "@flotilla/runtime";
import { connect, type Connection, disconnect, isConnected } from "./connection.ts";
import { agentQueue, shardTag } from "./keys.ts";
import { type Depth, Queues } from "./queues.ts";
import { registeredAgents } from "./registry.ts";
import { Scripts } from "./scripts.ts";
import { fleetShards } from "./shards.ts";

/** What one agent type has to do, and with how many. */
export interface AgentLoad {
  agentType: string;
  /** Jobs that wait, with and without a priority, or are being done: the number that scales the fleet. */
  backlog: number;
  /** Workers that lived a moment ago. */
  workers: number;
}

/**
 * Reads the numbers that scale a fleet, for whoever scales it. They are those that supervisors show as metrics, read when
 * asked for. Where Redis is away a call rejects within a second.
 */
export class FleetNumbers implements Service {
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  readonly #queues: Queues;

  constructor({ redis, logger }: { redis: RedisSettings; logger: Logger }) {
    this.#connection = connect(redis, "failFast", logger);
    this.#scripts = new Scripts(this.#connection);
    this.#queues = new Queues(this.#connection);
  }

  start(): Promise<void> {
    return isConnected(this.#connection);
  }

  async stop(): Promise<void> {
    await this.#queues.close();
    disconnect(this.#connection);
  }

  /** Of every agent type that has ever registered. */
  async loads(): Promise<AgentLoad[]> {
    const agents = await registeredAgents(this.#scripts);
    return Promise.all(
      agents.map(async ({ descriptor: { type }, workers }) => ({
        agentType: type,
        backlog: backlogOf(await this.#queues.depth(agentQueue(type))),
        workers,
      })),
    );
  }

  /** Workflows that are started and neither ended nor waiting for a person. */
  async activeWorkflows(): Promise<number> {
    return countActive(this.#scripts, await fleetShards(this.#connection));
  }
}

/** What waits and what is being done; a job that waits is in one of two lists, by whether it has a priority. */
export function backlogOf({ wait, prioritized, active }: Depth): number {
  return wait + prioritized + active;
}

/** Active workflows of all shards. */
export async function countActive(scripts: Scripts, shards: readonly string[]): Promise<number> {
  const counts = await Promise.all(shards.map((shard) => scripts.call("active", shardTag(shard), [])));
  return counts.reduce((sum: number, count) => sum + Number(count), 0);
}
