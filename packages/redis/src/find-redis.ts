import { Redis } from "ioredis";
import { type RedisChoice, RedisSetupError } from "./choice.ts";
import { findServer, type ServerSearch } from "./find-server.ts";

/** Which Redis a process may use. */
export interface RedisSearch extends ServerSearch {
  /** If given, this one and no other. */
  redisUrl?: string | undefined;
  /** In production nothing stands in for a durable server. */
  production: boolean;
}

/**
 * The Redis to use: the one at `redisUrl`; else a server of this machine, fetched if need be; else the
 * in-memory one, with a warning. Throws `RedisSetupError` when `redisUrl` does not answer, or when nothing
 * durable is to be had in production.
 */
export async function findRedis({ redisUrl, production, ...search }: RedisSearch): Promise<RedisChoice> {
  if (redisUrl) {
    await expectAnswer(redisUrl);
    return { kind: "url", url: redisUrl };
  }
  const server = await findServer(search);
  if (server) return server;
  if (production) {
    throw new RedisSetupError("redis-missing", "no redis to run on: set REDIS_URL, or install redis-server");
  }
  for (const line of memoryBanner) search.say(line);
  return { kind: "memory" };
}

const memoryBanner = [
  "┌──────────────────────────────────────────────────────────────────────┐",
  "│ Redis in memory: nothing is durable, all is lost when this stops.    │",
  "│ It is slow, and meant for a first look. Install redis-server, or set │",
  "│ REDIS_URL, for anything else.                                        │",
  "└──────────────────────────────────────────────────────────────────────┘",
];

const answerTimeoutMs = 3000;

async function expectAnswer(url: string): Promise<void> {
  // A timeout of the command counts from here: a peer that listens and is silent never ends the connecting.
  const redis = new Redis(url, { commandTimeout: answerTimeoutMs, retryStrategy: () => null });
  // ioredis reports the reason as an event only; the rejected command says no more than "closed".
  let reason: unknown;
  redis.on("error", (error) => (reason = error));
  try {
    await redis.ping();
  } catch (error) {
    const cause = reason ?? error;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new RedisSetupError("redis-unreachable", `REDIS_URL ${withoutPassword(url)} does not answer: ${detail}`, {
      cause,
    });
  } finally {
    redis.disconnect();
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//***@");
}
