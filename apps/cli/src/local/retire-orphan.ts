import { realpath } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { z } from "zod";
import { CliError, exitCode } from "../exit.ts";
import type { DataDir } from "./data-dir.ts";
import { FleetFile } from "./fleet-file.ts";
import { readPrivate } from "./private-file.ts";

const goneWithinMs = 5000;

/**
 * Ends the Redis of an earlier fleet on this data folder that was killed: two servers on one append-only file would
 * ruin it. Such a Redis ends by itself within 2 s; here nobody waits for that. To be called under the folder's lock.
 */
export async function retireOrphanRedis(dataDir: DataDir): Promise<void> {
  const left = await readPrivate(dataDir.fleetFile, FleetFile);
  if (left?.redis.kind !== "server") return;
  const { url } = left.redis;
  for (const giveUpAt = Date.now() + goneWithinMs; await endIfServing(url, dataDir.redisData); await sleep(50)) {
    if (Date.now() < giveUpAt) continue;
    const message = `the Redis of an earlier fleet still runs at ${url}: end it, then start again`;
    throw new CliError(exitCode.badConfiguration, message);
  }
}

/** Whether a Redis that keeps its data in `dir` still answers at `url`; it has then been told to end. */
async function endIfServing(url: string, dir: string): Promise<boolean> {
  const redis = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0, commandTimeout: 1000 });
  redis.on("error", () => {});
  try {
    // A list of names and values. The port may be somebody else's by now: the folder tells.
    const [, served] = z.array(z.string()).parse(await redis.config("GET", "dir"));
    if (served !== (await realpath(dir))) return false;
    // It ends without an answer, so this rejects.
    await redis.shutdown("NOSAVE").catch(() => {});
    return true;
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
