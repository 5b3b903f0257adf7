import { join } from "node:path";
import { rm } from "node:fs/promises";
import type { RedisServer } from "@flotilla/redis";
import {
  askRedisAt,
  masterName,
  masterPortOf,
  sentinelConfig,
  sentinelCount,
  untilAllKnown,
} from "@flotilla/testkit/sentinel-watch";
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

const downAfterMs = 1000;

/** A master and its one replica, and three sentinels that choose between them. */
export class SentinelGroup implements RedisGroup {
  readonly environment: Record<string, string>;
  readonly #nodes: readonly RedisNode[];
  readonly #sentinels: readonly RedisNode[];

  private constructor(nodes: readonly RedisNode[], sentinels: readonly RedisNode[]) {
    this.#nodes = nodes;
    this.#sentinels = sentinels;
    this.environment = {
      REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(","),
      REDIS_SENTINEL_MASTER: masterName,
    };
  }

  static async start(server: RedisServer, dir: string): Promise<SentinelGroup> {
    const nodes: RedisNode[] = [];
    const sentinels: RedisNode[] = [];
    const startNode = async (name: string, extraArgs: string[]) => {
      const options = { dir: join(dir, name), port: 0, appendonly: true, appendfsync: "always" as const, extraArgs };
      const node = await RedisNode.start(name, server, options);
      nodes.push(node);
      return node;
    };
    try {
      const master = await startNode("first", replicationArgs);
      await startNode("second", replicaOf(master.port));
      for (let index = 0; index < sentinelCount; index++) {
        const name = `sentinel ${index + 1}`;
        const sentinel = sentinelConfig(master.port, downAfterMs);
        const options = { dir: join(dir, name), port: 0, appendonly: false, appendfsync: "no" as const, sentinel };
        sentinels.push(await RedisNode.start(name, server, options));
      }
      const group = new SentinelGroup(nodes, sentinels);
      await group.#untilWhole(master);
      return group;
    } catch (error) {
      await Promise.all([...sentinels, ...nodes].map((node) => node.stop()));
      throw error;
    }
  }

  async failOver(_: Random, going: Going, work: () => Promise<void>): Promise<Failover> {
    const { master, replica } = await this.#roles();
    await cutReplication(master.port);
    await work();
    const forgottenBytes = (await replicationOffset(master.port)) - (await replicationOffset(replica.port));
    if (going === "lost") {
      await master.hold("SIGKILL");
      await rm(join(master.dir, "appendonlydir"), { recursive: true });
      await untilRole(replica.port, "master");
      // As the init script of a pod does, it asks the sentinels who is master before it starts.
      await master.release(replicaOf(replica.port));
    } else {
      const [sentinel] = this.#sentinels;
      await askRedisAt(sentinel?.port ?? 0, (redis) => redis.call("SENTINEL", "FAILOVER", masterName));
      await untilRole(replica.port, "master");
      // The sentinels see to it, some seconds later.
      await untilRole(master.port, "slave");
      await mendReplication(master.port);
    }
    await this.#untilWhole(replica);
    return { name: master.name, going, forgottenBytes };
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.#nodes].map((node) => node.stop()));
  }

  async #roles(): Promise<{ master: RedisNode; replica: RedisNode }> {
    const port = await masterPortOf(this.#sentinels[0]?.port ?? 0);
    const master = this.#nodes.find((node) => node.port === port);
    const replica = this.#nodes.find((node) => node !== master);
    if (!master || !replica) throw new Error("the sentinels name a master that is not here");
    return { master, replica };
  }

  /** Everything is as the next failover needs it. */
  async #untilWhole(master: RedisNode): Promise<void> {
    await untilReplicated(master.port);
    await Promise.all(
      this.#sentinels.map(async ({ port }) => {
        await untilAllKnown(port, 1);
        const agrees = async () => (await masterPortOf(port)) === master.port && (await seesGoodReplica(port));
        await until(agrees, { timeoutMs: 60_000, what: "a sentinel knows the master, and a replica to take over" });
      }),
    );
  }
}

function replicaOf(port: number): string[] {
  return [...replicationArgs, "--replicaof", "127.0.0.1", String(port)];
}

/** Whether the sentinel thinks well of the one replica; it would not make another one a master. */
async function seesGoodReplica(sentinelPort: number): Promise<boolean> {
  const answer = await askRedisAt(sentinelPort, (sentinel) => sentinel.call("SENTINEL", "REPLICAS", masterName));
  // A list of replicas, each a list of names and values.
  const [replica = []] = answer as string[][];
  const valueOf = (name: string) => replica[replica.indexOf(name) + 1];
  return valueOf("flags") === "slave" && valueOf("master-link-status") === "ok";
}
