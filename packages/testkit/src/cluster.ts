import { freeClusterPort } from "@flotilla/redis";
import { clusterArgs, joinCluster, masterCount } from "./cluster-join.ts";
import { startRedis, type TestRedis } from "./redis.ts";

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
    for (let index = 0; index < masterCount * (1 + replicas); index++) {
      nodes.push(await startRedis({ port: await freeClusterPort(), extraArgs: clusterArgs }));
    }
    await joinCluster(nodes.map(({ port }) => port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, startupNodes: nodes.map(({ port }) => ({ host: "127.0.0.1", port })), stop };
}
