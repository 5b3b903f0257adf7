import type { Logger, RedisSettings } from "@flotilla/runtime";
import { Cluster, type Redis } from "ioredis";
import { z } from "zod";
import { connect, disconnect, isConnected } from "./connection.ts";

/** What a master says of itself, as far as a fleet depends on it. What it does not tell is undefined. */
export interface RedisFacts {
  /** Where it answered, `host:port`. */
  address: string;
  version?: string;
  /** Whether it takes writes. */
  isMaster: boolean;
  /** Whether it writes an append-only file. */
  isDurable?: boolean;
  /** When that file is synced. Hosted servers may not tell. */
  fsync?: string;
  evictionPolicy?: string;
  /** Replicas that follow it at this moment. */
  replicas: number;
  /** Median of some pings, in ms. */
  latencyMs: number;
  /** Its clock less ours, in ms, as exact as half the latency. */
  clockSkewMs: number;
}

const pings = 5;

/** Asks the Redis, or each master of the cluster. Rejects when it does not answer within `timeoutMs`. */
export async function askRedis(settings: RedisSettings, logger: Logger, timeoutMs = 3000): Promise<RedisFacts[]> {
  const connection = connect(settings, "patient", logger);
  try {
    await isConnected(connection, timeoutMs);
    const masters = connection instanceof Cluster ? connection.nodes("master") : [connection];
    return await Promise.all(masters.map(factsOf));
  } finally {
    disconnect(connection);
  }
}

async function factsOf(redis: Redis): Promise<RedisFacts> {
  // A user with few rights may read neither; then nothing is known, and that is said.
  const info = await redis.info().catch(() => "");
  const told = (name: string) => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
  const version = told("valkey_version") ?? told("redis_version");
  const aof = told("aof_enabled");
  const fsync = await configOf(redis, "appendfsync");
  const evictionPolicy = told("maxmemory_policy") ?? (await configOf(redis, "maxmemory-policy"));
  const { remoteAddress = "", remotePort = 0 } = redis.stream;
  return {
    address: `${remoteAddress}:${remotePort}`,
    ...(version !== undefined && { version }),
    isMaster: (told("role") ?? "master") === "master",
    ...(aof !== undefined && { isDurable: aof === "1" }),
    ...(fsync !== undefined && { fsync }),
    ...(evictionPolicy !== undefined && { evictionPolicy }),
    replicas: Number(told("connected_slaves") ?? 0),
    ...(await timesOf(redis)),
  };
}

async function configOf(redis: Redis, name: string): Promise<string | undefined> {
  const answer: unknown = await redis.config("GET", name).catch(() => []);
  // A list of names and values; hosted servers refuse CONFIG.
  return z.array(z.string()).catch([]).parse(answer)[1];
}

async function timesOf(redis: Redis): Promise<{ latencyMs: number; clockSkewMs: number }> {
  const latencies: number[] = [];
  for (let n = 0; n < pings; n++) {
    const from = performance.now();
    await redis.ping();
    latencies.push(performance.now() - from);
  }
  const latencyMs = latencies.toSorted((a, b) => a - b)[Math.floor(pings / 2)] ?? 0;
  const from = performance.now();
  const [seconds, microseconds] = await redis.time();
  const halfWayMs = (performance.now() - from) / 2;
  return { latencyMs, clockSkewMs: Number(seconds) * 1000 + Number(microseconds) / 1000 + halfWayMs - Date.now() };
}
