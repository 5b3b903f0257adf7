import { type RedisSettings, redisSettingsOf } from "@flotilla/runtime";
import { type FaultProxy, faultProxy, startCluster, startRedis, startSentinels, until } from "@flotilla/testkit";
import { Redis } from "ioredis";
import { expect } from "vitest";
import { phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

/** A Redis that can be taken away and brought back. */
interface Rig {
  redis: RedisSettings;
  away(): Promise<void> | void;
  /** Resolves when it is back, which is when the clock starts. */
  back(): Promise<void> | void;
  stop(): Promise<void>;
}

/** One way in which Redis can be away. */
export interface Outage {
  /** From its return to the work going on, in ms; what is promised. */
  withinMs: number;
  rig(): Promise<Rig>;
}

const promisedMs = 5000;
const promisedAfterSilenceMs = 10_000;

/** A single Redis behind a proxy. */
async function single(fault: (proxy: FaultProxy) => { away(): void; back(): void }): Promise<Rig> {
  const redis = await startRedis({ appendfsync: "always" });
  const proxy = await faultProxy(redis.port);
  const stop = async () => {
    await proxy.stop();
    await redis.stop();
  };
  return { redis: redisSettingsOf(proxy.url), ...fault(proxy), stop };
}

/** The seven ways of the promise. */
export const outages: Record<string, Outage> = {
  "Redis is killed": {
    withinMs: promisedMs,
    async rig() {
      const redis = await startRedis({ appendfsync: "always" });
      const { restart: back, kill, stop } = redis;
      return { redis: redisSettingsOf(redis.url), away: () => kill(), back, stop };
    },
  },
  "Redis is stopped": {
    withinMs: promisedMs,
    async rig() {
      const redis = await startRedis({ appendfsync: "always" });
      const stop = async () => {
        redis.resume();
        await redis.stop();
      };
      return { redis: redisSettingsOf(redis.url), away: redis.pause, back: redis.resume, stop };
    },
  },
  "connections are reset": {
    withinMs: promisedMs,
    rig: () => single((proxy) => ({ away: () => proxy.set({ kind: "cut" }), back: () => proxy.set({ kind: "pass" }) })),
  },
  "packets are dropped, and sent again": {
    withinMs: promisedMs,
    rig: () =>
      single((proxy) => ({ away: () => proxy.set({ kind: "hold" }), back: () => proxy.set({ kind: "pass" }) })),
  },
  "the peer is silent for ever, and another answers in its place": {
    withinMs: promisedAfterSilenceMs,
    rig: () =>
      single((proxy) => ({
        away: () => proxy.set({ kind: "silent" }),
        // What was open stays deaf.
        back: () => proxy.set({ kind: "abandon" }),
      })),
  },
  "the master of sentinels is killed": {
    withinMs: promisedMs,
    async rig() {
      const group = await startSentinels({ appendfsync: "always" });
      const [first = { host: "", port: 0 }] = group.addresses;
      const redis: RedisSettings = {
        ...redisSettingsOf(`redis://${first.host}:${first.port}`),
        sentinel: { nodes: group.addresses, master: group.masterName },
      };
      const deposed = await group.master();
      return {
        redis,
        away: () => deposed.kill(),
        async back() {
          await until(async () => (await group.master()) !== deposed, { timeoutMs: 30_000, what: "a new master" });
          const { port } = await group.master();
          await untilMaster(port);
        },
        stop: group.stop,
      };
    },
  },
  "a master of a cluster is killed": {
    withinMs: promisedMs,
    async rig() {
      const cluster = await startCluster({ replicas: 1 });
      const [first, second, , heir] = cluster.nodes;
      if (!first || !second || !heir) throw new Error("a cluster without its nodes");
      return {
        // A client that starts from a node which lives.
        redis: redisSettingsOf(second.url, true),
        away: () => first.kill(),
        back: () => untilMaster(heir.port, /cluster_state:ok/),
        stop: cluster.stop,
      };
    },
  },
};

async function untilMaster(port: number, state = /./): Promise<void> {
  const redis = new Redis(port).on("error", () => undefined);
  const isMaster = async () => (await redis.info("replication")).includes("role:master");
  const isWhole = async () => state.source === "." || state.test(await redis.cluster("INFO"));
  await until(async () => (await isMaster()) && (await isWhole()), { timeoutMs: 30_000, what: "a new master" });
  redis.disconnect();
}

const request = planOf(phase("p", [task("a", { act: "work" })]), phase("q", [task("b", "{{tasks.a.output}}")]));

/** How long it took for work to go on, in ms from the return of Redis. */
export interface Resumption {
  /** A workflow that is submitted then, or as soon as that is possible, to its end. */
  newWorkMs: number;
  /** All that was under way and waiting, to its end. */
  oldWorkMs: number;
}

/**
 * Takes Redis away in the middle of the work of API, supervisor and workers, for that long, and measures how soon work
 * goes on. Nobody is restarted; each task runs once.
 */
export async function measureOutage(outage: Outage, awayMs: number): Promise<Resumption> {
  const rig = await outage.rig();
  const fleet = await TestFleet.start({ redis: rig.redis });
  try {
    const gate = Promise.withResolvers<void>();
    const runs = new Map<string, number>();
    fleet.acts.set("work", async ({ workflowId, taskId }) => {
      runs.set(workflowId, (runs.get(workflowId) ?? 0) + 1);
      await gate.promise;
      return { kind: "completed", output: taskId };
    });
    // More than the worker takes at once: some run, some wait in its queue.
    const ids = await Promise.all(Array.from({ length: 30 }, () => fleet.submit(request)));
    await until(() => runs.size === 20, { what: "every place of the worker is taken" });
    await rig.away();
    await new Promise((resolve) => setTimeout(resolve, awayMs));
    await rig.back();
    const backAt = performance.now();
    gate.resolve();
    const tookMs = async (id: string) => {
      const isDone = async () => (await fleet.store.get(tenant, id))?.status === "completed";
      await until(isDone, { timeoutMs: 60_000, what: `${id} completes` });
      return performance.now() - backAt;
    };
    const timeoutMs = 60_000;
    const submitted = until(() => fleet.submit(planOf(phase("p", [task("a")]))), { timeoutMs, what: "a submit" });
    const [newWorkMs, ...old] = await Promise.all([submitted.then(tookMs), ...ids.map(tookMs)]);
    expect(new Set(runs.values()), "each task ran once").toEqual(new Set([1]));
    return { newWorkMs: newWorkMs ?? NaN, oldWorkMs: Math.max(...old) };
  } finally {
    await rig.back();
    await fleet.stop();
    await rig.stop();
  }
}
