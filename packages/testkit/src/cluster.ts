import { freeClusterPort } from "@flotilla/redis";
import { Redis } from "ioredis";
import { startRedis, type TestRedis } from "./redis.ts";
import { until } from "./until.ts";

/** Slots of a cluster, from the Redis Cluster specification. */
const slots = 16_384;

const nodeCount = 3;

/** A Redis Cluster of three masters without replicas. */
export interface TestCluster {
  readonly nodes: readonly TestRedis[];
  /** What a cluster client is given to start from. */
  readonly startupNodes: { host: string; port: number }[];
  stop(): Promise<void>;
}

/** Starts three nodes, shares the slots out among them and waits until each of them calls the cluster whole. */
export async function startCluster(): Promise<TestCluster> {
  const nodes: TestRedis[] = [];
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    for (let index = 0; index < nodeCount; index++) nodes.push(await startNode());
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
    extraArgs: ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"],
  });
}

async function join(nodes: readonly TestRedis[]): Promise<void> {
  const clients = nodes.map(({ port }) => new Redis(port, "127.0.0.1"));
  try {
    await Promise.all(clients.map((client, index) => client.cluster("ADDSLOTS", ...slotsOf(index))));
    for (const { port } of nodes.slice(1)) await clients[0]?.cluster("MEET", "127.0.0.1", port);
    for (const client of clients) {
      await until(async () => (await client.cluster("INFO")).includes("cluster_state:ok"), {
        what: "every node sees the whole cluster",
      });
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
}

function slotsOf(index: number): number[] {
  const first = Math.floor((slots * index) / nodeCount);
  const next = Math.floor((slots * (index + 1)) / nodeCount);
  return Array.from({ length: next - first }, (_, offset) => first + offset);
}
