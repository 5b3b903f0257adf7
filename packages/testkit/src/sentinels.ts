import { Redis } from "ioredis";
import { startRedis, type TestRedis } from "./redis.ts";
import { until } from "./until.ts";

const sentinelCount = 3;

/** What the sentinels call the master. */
const masterName = "flotilla";

/** A master with replicas, and three sentinels that watch over them. */
export interface TestSentinels {
  /** The master that it started with, then its replicas. */
  readonly nodes: readonly TestRedis[];
  readonly sentinels: readonly TestRedis[];
  readonly masterName: string;
  /** As `REDIS_SENTINELS` has it. */
  readonly addresses: { host: string; port: number }[];
  /** Who is master now, as the sentinels have it. */
  master(): Promise<TestRedis>;
  stop(): Promise<void>;
}

/** How many replicas, and what their Redis is to be. */
export interface SentinelOptions {
  replicas?: number;
  appendfsync?: "always" | "everysec";
  /** How long a master must be away before it is deposed. */
  downAfterMs?: number;
}

/** Starts them and waits until every replica has what the master has, and every sentinel knows all of them. */
export async function startSentinels(options: SentinelOptions = {}): Promise<TestSentinels> {
  const { replicas = 2, appendfsync = "everysec", downAfterMs = 1000 } = options;
  const nodes: TestRedis[] = [];
  const sentinels: TestRedis[] = [];
  const stop = async () => void (await Promise.all([...sentinels, ...nodes].map((node) => node.stop())));
  try {
    const master = await startRedis({ appendfsync, extraArgs: ["--repl-diskless-sync-delay", "0"] });
    nodes.push(master);
    for (let index = 0; index < replicas; index++) {
      const extraArgs = ["--replicaof", "127.0.0.1", String(master.port), "--repl-diskless-sync-delay", "0"];
      nodes.push(await startRedis({ appendfsync, extraArgs }));
    }
    for (let index = 0; index < sentinelCount; index++) {
      sentinels.push(await startRedis({ appendonly: false, sentinel: sentinelConfig(master.port, downAfterMs) }));
    }
    await Promise.all(sentinels.map(({ port }) => untilAllKnown(port, replicas)));
  } catch (error) {
    await stop();
    throw error;
  }
  const addresses = sentinels.map(({ port }) => ({ host: "127.0.0.1", port }));
  const master = async () => {
    const ports = await Promise.all(
      sentinels.map(({ port }) =>
        ask(port, (sentinel) => sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)),
      ),
    );
    const [first] = ports.map((answer) => Number(Array.isArray(answer) ? answer[1] : NaN));
    const node = nodes.find(({ port }) => port === first);
    if (!node) throw new Error("the sentinels name a master that is not here");
    return node;
  };
  return { nodes, sentinels, masterName, addresses, master, stop };
}

function sentinelConfig(masterPort: number, downAfterMs: number): string[] {
  return [
    `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
    `sentinel failover-timeout ${masterName} 5000`,
    `sentinel parallel-syncs ${masterName} 2`,
  ];
}

async function untilAllKnown(port: number, replicas: number): Promise<void> {
  const known = "status=ok,address=";
  const counts = `slaves=${replicas},sentinels=${sentinelCount}`;
  await until(
    async () => {
      const info = await ask(port, (sentinel) => sentinel.info("sentinel"));
      return info.includes(known) && info.includes(counts);
    },
    { timeoutMs: 30_000, what: "a sentinel knows everybody" },
  );
}

async function ask<T>(port: number, question: (sentinel: Redis) => Promise<T>): Promise<T> {
  const sentinel = new Redis({ port, host: "127.0.0.1", retryStrategy: () => null, commandTimeout: 2000 });
  sentinel.on("error", () => {});
  try {
    return await question(sentinel);
  } finally {
    sentinel.disconnect();
  }
}
