import { rm } from "node:fs/promises";
import { join } from "node:path";
import { freeClusterPort, type RedisServer } from "@flotilla/redis";
import { clusterArgs, joinCluster, masterCount } from "@flotilla/testkit/cluster-join";
import { askRedisAt } from "@flotilla/testkit/sentinel-watch";
import { until } from "@flotilla/testkit/until";
import {
  cutReplication,
  mendReplication,
  replicationArgs,
  replicationOffset,
  untilReplicated,
  untilRole,
} from "../faults/replication.ts";
import type { Random } from "../random.ts";
import { RedisNode } from "../redis-node.ts";
import type { Failover, Going, RedisGroup } from "./group.ts";

/** A cluster of three masters with a replica each. */
export class ClusterGroup implements RedisGroup {
  readonly environment: Record<string, string>;
  readonly #nodes: readonly RedisNode[];

  private constructor(nodes: readonly RedisNode[]) {
    this.#nodes = nodes;
    this.environment = { REDIS_HOST: "127.0.0.1", REDIS_PORT: String(nodes[0]?.port), REDIS_CLUSTER: "1" };
  }

  static async start(server: RedisServer, dir: string): Promise<ClusterGroup> {
    const nodes: RedisNode[] = [];
    try {
      for (let index = 0; index < 2 * masterCount; index++) {
        const name = `node ${index + 1}`;
        nodes.push(
          await RedisNode.start(name, server, {
            dir: join(dir, name),
            port: await freeClusterPort(),
            appendonly: true,
            appendfsync: "always",
            extraArgs: [...clusterArgs, ...replicationArgs],
          }),
        );
      }
      await joinCluster(nodes.map(({ port }) => port));
      return new ClusterGroup(nodes);
    } catch (error) {
      await Promise.all(nodes.map((node) => node.stop()));
      throw error;
    }
  }

  async failOver(random: Random, going: Going, work: () => Promise<void>): Promise<Failover> {
    const index = random.between(0, masterCount - 1);
    const { master, replica } = await this.#pair(index);
    await cutReplication(master.port);
    await work();
    const forgottenBytes = (await replicationOffset(master.port)) - (await replicationOffset(replica.port));
    if (going === "lost") {
      await master.hold("SIGKILL");
      await rm(join(master.dir, "appendonlydir"), { recursive: true });
      await untilRole(replica.port, "master");
      // It finds out that its slots are another's before it serves them: a node that starts waits for that.
      await master.release();
      await untilRole(master.port, "slave");
    } else {
      await askRedisAt(replica.port, (redis) => redis.cluster("FAILOVER", "TAKEOVER"));
      await untilRole(replica.port, "master");
      await untilRole(master.port, "slave");
      await mendReplication(master.port);
    }
    await untilReplicated(replica.port);
    await Promise.all(this.#nodes.map(({ port }) => untilWhole(port)));
    return { name: master.name, going, forgottenBytes };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }

  /** The two nodes of that part of the slots, by the role that they have now. */
  async #pair(index: number): Promise<{ master: RedisNode; replica: RedisNode }> {
    const nodes = [this.#nodes[index], this.#nodes[index + masterCount]].filter((node) => node !== undefined);
    const roles = await Promise.all(nodes.map(({ port }) => askRedisAt(port, (redis) => redis.info("replication"))));
    const master = nodes.find((_, place) => roles[place]?.includes("role:master"));
    const replica = nodes.find((_, place) => roles[place]?.includes("role:slave"));
    if (!master || !replica) throw new Error("a master without its replica");
    return { master, replica };
  }
}

async function untilWhole(port: number): Promise<void> {
  const isWhole = () => askRedisAt(port, async (redis) => (await redis.cluster("INFO")).includes("cluster_state:ok"));
  await until(isWhole, { timeoutMs: 60_000, what: `${port} sees the whole cluster` });
}
