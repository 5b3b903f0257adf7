import { freeClusterPort } from "@flotilla/redis";
import { Redis } from "ioredis";
import { startRedis, type TestRedis } from "./redis.ts";
import { until } from "./until.ts";

/** Slots of a cluster, from the Redis Cluster specification. */
const slots = 16_384;

const masterCount = 3;

/** A Redis Cluster of three masters. */
export interface TestCluster {
  /** The masters that it started with; then the replicas of each, in the same order. */
  readonly nodes: readonly TestRedis[];
  /** What a cluster client is given to start from. */
  readonly startupNodes: { host: string; port: number }[];
  stop(): Promise<void>;
}

/**
 * Starts three masters, and as many replicas of each as asked for; shares the slots out and waits until each node calls
 * the cluster whole and each replica has what its master has.
 */
export async function startCluster({ replicas = 0 } = {}): Promise<TestCluster> {
  const nodes: TestRedis[] = [];
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    for (let index = 0; index < masterCount * (1 + replicas); index++) nodes.push(await startNode());
    await join(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, startupNodes: nodes.map(({ port }) => ({ host: "127.0.0.1", port })), stop };
}

async function startNode(): Promise<TestRedis> {
  return startRedis({
    port: await freeClusterPort(),
    extraArgs: ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"],
  });
}

async function join(nodes: readonly TestRedis[]): Promise<void> {
  const clients = nodes.map(({ port }) => new Redis(port, "127.0.0.1"));
  const masters = clients.slice(0, masterCount);
  const replicas = clients.slice(masterCount);
  try {
    await Promise.all(masters.map((client, index) => client.cluster("ADDSLOTS", ...slotsOf(index))));
    for (const { port } of nodes.slice(1)) await clients[0]?.cluster("MEET", "127.0.0.1", port);
    for (const client of clients) {
      await until(async () => (await client.cluster("INFO")).includes("cluster_state:ok"), {
        what: "every node sees the whole cluster",
      });
    }
    const ids = await Promise.all(masters.map((client) => client.cluster("MYID")));
    for (const [index, client] of replicas.entries()) {
      const id = ids[index % masterCount] ?? "";
      await until(async () => (await client.cluster("REPLICATE", id)) === "OK", { what: "a replica knows its master" });
    }
    for (const client of replicas) {
      await until(async () => (await client.info("replication")).includes("master_link_status:up"), {
        what: "every replica has what its master has",
      });
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
}

function slotsOf(index: number): number[] {
  const first = Math.floor((slots * index) / masterCount);
  const next = Math.floor((slots * (index + 1)) / masterCount);
  return Array.from({ length: next - first }, (_, offset) => first + offset);
}
