import { Redis } from "ioredis";
import { until } from "./until.ts";

/** Sentinels that watch a master in tests: the fewest of which one may be wrong. */
export const sentinelCount = 3;

/** What the sentinels call the master. */
export const masterName = "flotilla";

/** The configuration of a sentinel that deposes a master which is away for so long. */
export function sentinelConfig(masterPort: number, downAfterMs: number): string[] {
  return [
    `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
    `sentinel failover-timeout ${masterName} 5000`,
    `sentinel parallel-syncs ${masterName} 2`,
  ];
}

/** Waits until that sentinel knows all others, and so many replicas. */
export async function untilAllKnown(port: number, replicas: number): Promise<void> {
  const known = "status=ok,address=";
  const counts = `slaves=${replicas},sentinels=${sentinelCount}`;
  await until(
    async () => {
      const info = await askRedisAt(port, (sentinel) => sentinel.info("sentinel"));
      return info.includes(known) && info.includes(counts);
    },
    { timeoutMs: 30_000, what: "a sentinel knows everybody" },
  );
}

/** The port of the master, as that sentinel has it; NaN when it does not say. */
export async function masterPortOf(sentinelPort: number): Promise<number> {
  const answer = await askRedisAt(sentinelPort, (sentinel) =>
    sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName),
  );
  return Number(Array.isArray(answer) ? answer[1] : NaN);
}

/** One question to a Redis or a sentinel of this machine, on a connection of its own; rejects when it is away. */
export async function askRedisAt<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ port, host: "127.0.0.1", retryStrategy: () => null, commandTimeout: 2000 });
  redis.on("error", () => {});
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
