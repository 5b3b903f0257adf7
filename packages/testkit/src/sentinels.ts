import { startRedis, type TestRedis } from "./redis.ts";
import { masterName, masterPortOf, sentinelConfig, sentinelCount, untilAllKnown } from "./sentinel-watch.ts";

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
    const [first] = await Promise.all(sentinels.map(({ port }) => masterPortOf(port)));
    const node = nodes.find(({ port }) => port === first);
    if (!node) throw new Error("the sentinels name a master that is not here");
    return node;
  };
  return { nodes, sentinels, masterName, addresses, master, stop };
}
