import { connect, disconnect, isConnected } from "@flotilla/fleet";
import { createLogger, type RedisSettings } from "@flotilla/runtime";
import { z } from "zod";

/** What a Redis says of itself, as far as a fleet depends on it. */
export interface RedisFacts {
  version: string;
  /** Whether it writes an append-only file. */
  isDurable: boolean;
  /** Undefined where the server does not tell, as hosted ones may not. */
  fsync?: string;
  evictionPolicy?: string;
  /** Median of some pings, in ms. */
  latencyMs: number;
  /** Its clock less ours, in ms, as exact as half the latency. */
  clockSkewMs: number;
}

const pings = 5;

/** Asks the Redis. Rejects when it does not answer. */
export async function askRedis(settings: RedisSettings): Promise<RedisFacts> {
  const redis = connect(settings, "patient", createLogger({ role: "cli", level: "silent" }));
  try {
    await isConnected(redis, 3000);
    const info = await redis.info();
    const config = async (name: string) =>
      // A list of names and values; hosted servers refuse CONFIG.
      z
        .array(z.string())
        .catch([])
        .parse(await redis.config("GET", name).catch(() => []))[1];
    const latencies: number[] = [];
    for (let n = 0; n < pings; n++) {
      const from = performance.now();
      await redis.ping();
      latencies.push(performance.now() - from);
    }
    const latencyMs = latencies.toSorted((a, b) => a - b)[Math.floor(pings / 2)] ?? 0;
    const [seconds, microseconds] = await redis.time();
    const clockSkewMs = Number(seconds) * 1000 + Number(microseconds) / 1000 - Date.now() + latencyMs / 2;
    const [fsync, evictionPolicy] = await Promise.all([config("appendfsync"), config("maxmemory-policy")]);
    return {
      version: /^(?:redis|valkey)_version:(\S+)/m.exec(info)?.[1] ?? "unknown",
      isDurable: /^aof_enabled:1/m.test(info),
      ...(fsync !== undefined && { fsync }),
      ...(evictionPolicy !== undefined && { evictionPolicy }),
      latencyMs,
      clockSkewMs,
    };
  } finally {
    disconnect(redis);
  }
}
