import { Redis } from "ioredis";
import { until } from "./until.ts";

/** Slots of a cluster, from the Redis Cluster specification. */
const slots = 16_384;

/** Masters of a cluster for tests: the fewest that can agree that one of them has failed. */
export const masterCount = 3;

/** What a node must be told to be one of a cluster that notices a failure soon. */
export const clusterArgs = "--cluster-enabled yes --cluster-node-timeout 2000 --repl-diskless-sync-delay 0".split(" ");

/**
 * Makes a cluster of nodes that are up: the first three become its masters, the next three their replicas, in the same
 * order, and so on. Resolves when each node calls the cluster whole and each replica has what its master has.
 */
export async function joinCluster(ports: readonly number[]): Promise<void> {
  const clients = ports.map((port) => new Redis(port, "127.0.0.1"));
  const masters = clients.slice(0, masterCount);
  const replicas = clients.slice(masterCount);
  try {
    await Promise.all(masters.map((client, index) => client.cluster("ADDSLOTS", ...slotsOf(index))));
    for (const port of ports.slice(1)) await clients[0]?.cluster("MEET", "127.0.0.1", port);
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
