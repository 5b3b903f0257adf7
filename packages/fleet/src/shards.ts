import { Cluster } from "ioredis";
import type { Connection } from "./connection.ts";
import { fleetTag } from "./keys.ts";

/**
 * Shards of a new fleet. One on a single Redis, where more would only cut what goes in one call into several: with 16
 * a six-step workflow took 26 script calls, with one 17. On a cluster they spread the workflows over its nodes.
 */
const shardsOnOne = 1;
const shardsOnCluster = 16;

/** Holds their number. */
const shardsKey = `${fleetTag}:shards`;

/**
 * The names of the fleet's shards. Their number is fixed by the first process that asks: ids name their shard, so with
 * another number workflows would be looked for where they are not.
 */
export async function fleetShards(connection: Connection): Promise<readonly string[]> {
  await connection.setnx(shardsKey, connection instanceof Cluster ? shardsOnCluster : shardsOnOne);
  const count = Number(await connection.get(shardsKey));
  return Array.from({ length: count }, (_, number) => number.toString(36).padStart(2, "0"));
}
