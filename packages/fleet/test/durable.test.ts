import { type RedisSettings, redisSettingsOf } from "@flotilla/runtime";
import {
  describeRealRedis,
  type FaultProxy,
  faultProxy,
  startCluster,
  startRedis,
  type TestRedis,
  until,
} from "@flotilla/testkit";
import { StoreUnavailableError, UnknownOutcomeError } from "@flotilla/workflow";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { tagOf } from "../src/keys.ts";
import { phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

const single = planOf(phase("p", [task("a")]));

function at(url: string, level: RedisSettings["durability"]["level"], replicas = 1): RedisSettings {
  return { ...redisSettingsOf(url), durability: { level, replicas } };
}

/** A connection that does not complain when its server is gone. */
function client(port: number): Redis {
  return new Redis(port).on("error", () => undefined);
}

/** How often a command was called, as `INFO commandstats` has it. */
async function callsOf(port: number, command: string): Promise<number> {
  const redis = client(port);
  const stats = await redis.info("commandstats");
  redis.disconnect();
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
}

describeRealRedis("strict durability, with a replica behind a link that can be cut", () => {
  let master: TestRedis;
  let replica: TestRedis;
  let link: FaultProxy;
  const fleets: TestFleet[] = [];
  beforeAll(async () => {
    master = await startRedis({ appendfsync: "always", extraArgs: ["--repl-diskless-sync-delay", "0"] });
    link = await faultProxy(master.port);
    replica = await startRedis({ extraArgs: ["--replicaof", "127.0.0.1", String(link.port)] });
    await linked();
  });
  afterEach(async () => {
    for (const fleet of fleets.splice(0)) await fleet.stop();
    await linked();
  });
  afterAll(async () => {
    await replica.stop();
    await link.stop();
    await master.stop();
  });

  /** A link on which bytes were swallowed is of no use any more: it is made anew. */
  async function linked(): Promise<void> {
    link.set({ kind: "cut" });
    link.set({ kind: "pass" });
    const redis = client(master.port);
    await until(async () => (await redis.incr("linked"), await redis.wait(1, 100)) === 1, { timeoutMs: 20_000 });
    redis.disconnect();
  }

  async function start(level: RedisSettings["durability"]["level"], replicas?: number): Promise<TestFleet> {
    const fleet = await TestFleet.start({ redis: at(master.url, level, replicas), supervisors: 0, workers: 0 });
    fleets.push(fleet);
    return fleet;
  }

  async function isOnReplica(id: string): Promise<boolean> {
    const redis = client(replica.port);
    const found = await redis.exists(`${tagOf(id)}:wf:${id}:log`);
    redis.disconnect();
    return found === 1;
  }

  test("what is acknowledged is on the replica at that moment", async () => {
    const fleet = await start("strict");
    for (let n = 0; n < 50; n++) expect(await isOnReplica(await fleet.submit(single))).toBe(true);
  });

  test("with the link cut nothing is acknowledged: a submit and a cancel say that their outcome is unknown", async () => {
    const fleet = await start("strict");
    const id = await fleet.submit(single);
    link.set({ kind: "silent" });
    await expect(fleet.store.submit(tenant, single)).rejects.toThrow(UnknownOutcomeError);
    await expect(fleet.store.cancel(tenant, id)).rejects.toThrow(UnknownOutcomeError);
    // Reads do not wait behind the writes that wait for a replica.
    const startedAt = performance.now();
    const waiting = fleet.store.submit(tenant, single).catch((error: unknown) => error);
    expect(await fleet.store.get(tenant, id)).toMatchObject({ id });
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(await waiting).toBeInstanceOf(StoreUnavailableError);
  });

  test("the control: at `standard` it is acknowledged with the link cut, and the replica does not have it", async () => {
    const fleet = await start("standard");
    link.set({ kind: "silent" });
    expect(await isOnReplica(await fleet.submit(single))).toBe(false);
  });

  test("said again with its key it is not confirmed before the replica has it, though it writes nothing new", async () => {
    const [first, second] = [await start("strict"), await start("strict")];
    const key = { key: crypto.randomUUID(), bodyHash: "b" };
    link.set({ kind: "silent" });
    await expect(first.store.submit(tenant, single, key)).rejects.toThrow(UnknownOutcomeError);
    await expect(second.store.submit(tenant, single, key)).rejects.toThrow(UnknownOutcomeError);
    await linked();
    const answer = await until(() => second.store.submit(tenant, single, key), { timeoutMs: 20_000 });
    expect(answer.kind).toBe("repeated");
    expect(await isOnReplica(answer.id)).toBe(true);
  });

  test("the intent of an effect waits for the replica, and the effect with it", { timeout: 60_000 }, async () => {
    const fleet = await TestFleet.start({ redis: at(master.url, "strict") });
    fleets.push(fleet);
    const gate = Promise.withResolvers<void>();
    let isIntended = false;
    fleet.acts.set("effect", async (_, journal) => {
      await gate.promise;
      await journal.intend({ key: "e", inputHash: "", intent: { class: "unsafe", key: "e" } });
      isIntended = true;
      return { kind: "completed", output: null };
    });
    const id = await fleet.submit(planOf(phase("p", [task("a", { act: "effect" })])));
    await until(async () => (await fleet.types(id)).includes("task.started"));
    link.set({ kind: "silent" });
    gate.resolve();
    // It is in the master's journal, and what wrote it has not been told so.
    await until(async () => (await fleet.connection.hlen(`${tagOf(id)}:wf:${id}:journal:a`)) === 1);
    const writtenAt = performance.now();
    await until(() => isIntended || performance.now() - writtenAt > 2000);
    expect(isIntended).toBe(false);
    await linked();
    expect((await fleet.end(id)).view.status).toBe("completed");
  });

  test("more replicas than there are confirm nothing", async () => {
    const fleet = await start("strict", 2);
    await expect(fleet.store.submit(tenant, single)).rejects.toThrow(UnknownOutcomeError);
  });

  test("a hundred submits of one turn wait once, and each is stored", async () => {
    const fleet = await start("strict");
    await fleet.submit(single);
    const before = await callsOf(master.port, "wait");
    const ids = await Promise.all(Array.from({ length: 100 }, () => fleet.submit(single)));
    expect(new Set(ids).size).toBe(100);
    expect((await callsOf(master.port, "wait")) - before).toBe(1);
    expect(await isOnReplica(ids.at(-1) ?? "")).toBe(true);
  });

  test.each(["fast", "standard"] as const)("at `%s` nobody waits for replicas", async (level) => {
    const fleet = await start(level);
    const before = await callsOf(master.port, "wait");
    await fleet.submit(single);
    expect(await callsOf(master.port, "wait")).toBe(before);
  });

  test("a master that has forgotten its scripts is told them again", async () => {
    const fleet = await start("strict");
    await fleet.submit(single);
    await fleet.connection.script("FLUSH");
    expect(await isOnReplica(await fleet.submit(single))).toBe(true);
  });
});

describe("strict durability on a cluster", () => {
  describeRealRedis("of three masters with a replica each", () => {
    test(
      "each write is confirmed by a replica of the master of its slot, also after a failover",
      { timeout: 120_000 },
      async () => {
        const cluster = await startCluster({ replicas: 1 });
        const [node] = cluster.nodes;
        if (!node) throw new Error("a cluster without nodes");
        const redis = { ...redisSettingsOf(node.url, true), durability: { level: "strict", replicas: 1 } as const };
        const fleet = await TestFleet.start({ redis, supervisors: 0, workers: 0 });
        try {
          const ids = await Promise.all(Array.from({ length: 60 }, () => fleet.submit(single)));
          expect(new Set(ids.map(tagOf)).size).toBeGreaterThan(8);
          const replicas = cluster.nodes.slice(3).map(({ port }) => client(port));
          const kept = await Promise.all(replicas.map((replica) => replica.keys("*:log")));
          expect(new Set(kept.flat())).toEqual(new Set(ids.map((id) => `${tagOf(id)}:wf:${id}:log`)));
          for (const replica of replicas) replica.disconnect();

          // A manual failover: the client goes on with the old master until it is told that the slot has moved.
          const promoted = client(cluster.nodes[3]?.port ?? 0);
          const says = async (fact: string) => (await promoted.info("replication")).includes(fact);
          await until(
            async () => {
              await promoted.cluster("FAILOVER").catch(() => undefined);
              return until(() => says("role:master"), { timeoutMs: 5000 });
            },
            { timeoutMs: 60_000 },
          );
          await until(() => says("connected_slaves:1"), { timeoutMs: 20_000 });
          promoted.disconnect();
          const again = () => until(() => fleet.submit(single), { timeoutMs: 20_000 });
          const later = await Promise.all(Array.from({ length: 60 }, again));
          expect(new Set(later).size).toBe(60);
        } finally {
          await fleet.stop();
          await cluster.stop();
        }
      },
    );
  });
});
