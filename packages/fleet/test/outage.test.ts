import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, type FaultProxy, faultProxy, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { StoreUnavailableError } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, disconnect, isConnected, Queues, RedisKeyStore } from "../src/index.ts";
import { agentQueue } from "../src/keys.ts";
import { logger, phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

const never = new AbortController().signal;
const single = planOf(phase("p", [task("a")]));

/** In ms: a call that Redis does not answer rejects within a second; the rest is for a machine that is busy. */
const promisedMs = 2500;

describeRealRedis("Redis away", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), supervisors: 0, workers: 0 });
  });
  afterAll(async () => {
    redis.resume();
    await fleet.stop();
    await redis.stop();
  });

  const calls: Record<string, (id: string) => Promise<unknown>> = {
    submit: () => fleet.store.submit(tenant, single),
    "submit with a key": () => fleet.store.submit(tenant, single, { key: "k", bodyHash: "b" }),
    get: (id) => fleet.store.get(tenant, id),
    list: () => fleet.store.list({ tenant, limit: 10 }),
    task: (id) => fleet.store.task(tenant, id, "a"),
    artifacts: (id) => fleet.store.artifacts(tenant, id),
    events: (id) => fleet.store.events(tenant, id, 0, 10),
    follow: (id) => fleet.store.follow(tenant, id, 0, never),
    cancel: (id) => fleet.store.cancel(tenant, id),
    agents: () => fleet.store.agents(),
    ping: () => fleet.store.ping(),
  };

  /** Makes each call at once, and again: the first may be what finds out that Redis is away. */
  async function expectUnavailable(id: string): Promise<void> {
    for (const _ of ["first", "again"]) {
      await Promise.all(
        Object.entries(calls).map(async ([name, call]) => {
          const startedAt = performance.now();
          await expect(call(id), name).rejects.toThrow(StoreUnavailableError);
          expect(performance.now() - startedAt, name).toBeLessThan(promisedMs);
        }),
      );
    }
  }

  test("connected and silent: every call of the store rejects in time, and works when Redis answers again", async () => {
    const id = await fleet.submit(single);
    redis.pause();
    await expectUnavailable(id);
    redis.resume();
    await until(() => fleet.store.ping().then(() => true));
    expect(await fleet.store.get(tenant, id)).toMatchObject({ id });
  });

  test("gone: every call of the store rejects in time, and works when Redis is back, with what was stored", async () => {
    const id = await fleet.submit(single);
    await redis.kill("SIGTERM");
    await expectUnavailable(id);
    await redis.restart();
    await until(() => fleet.store.ping().then(() => true));
    expect(await fleet.store.get(tenant, id)).toMatchObject({ id });
  });

  test("a stream that is open rejects when Redis goes silent", async () => {
    const id = await fleet.submit(single);
    let hasBegun = false;
    const followed = (async () => {
      for await (const _ of (await fleet.store.follow(tenant, id, 0, never)) ?? []) hasBegun = true;
    })();
    await until(() => hasBegun);
    redis.pause();
    await expect(followed).rejects.toThrow(StoreUnavailableError);
    redis.resume();
    await until(() => fleet.store.ping().then(() => true));
  });

  test("keys: every call rejects in time too", async () => {
    const connection = connect(redisSettingsOf(redis.url), "failFast", logger);
    await isConnected(connection);
    const keys = new RedisKeyStore(connection);
    redis.pause();
    const startedAt = performance.now();
    const answers = await Promise.allSettled([
      keys.find("k"),
      keys.list(),
      keys.create(tenant, "user"),
      keys.revoke("01234567"),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: "rejected", reason: expect.any(StoreUnavailableError) as unknown });
    }
    expect(performance.now() - startedAt).toBeLessThan(promisedMs);
    redis.resume();
    disconnect(connection);
    await until(() => fleet.store.ping().then(() => true));
  });
});

describeRealRedis("answers that are lost", () => {
  test("submitted again with its key, a workflow whose answer was lost is the one that was stored", async () => {
    const redis = await startRedis();
    const proxy = await faultProxy(redis.port);
    const fleet = await TestFleet.start({ redis: redisSettingsOf(proxy.url), supervisors: 0, workers: 0 });
    try {
      const key = { key: "k", bodyHash: "b" };
      // Redis has the script from now on: else what gets lost is that it does not have it.
      await fleet.submit(single);
      proxy.set({ kind: "dropReplies" });
      await expect(fleet.store.submit(tenant, single, key)).rejects.toThrow(StoreUnavailableError);
      proxy.set({ kind: "cut" });
      proxy.set({ kind: "pass" });
      const answer = await until(() => fleet.store.submit(tenant, single, key));
      expect(answer.kind).toBe("repeated");
      expect((await fleet.store.list({ tenant, limit: 10 }))?.workflows).toHaveLength(2);
    } finally {
      await fleet.stop();
      await proxy.stop();
      await redis.stop();
    }
  });
});

describeRealRedis("stopping", () => {
  test("services stop while Redis is away, and at the very moment that it is back", async () => {
    const redis = await startRedis();
    try {
      for (const isBack of [true, false]) {
        const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
        await (isBack ? redis.restart() : redis.kill());
        const startedAt = performance.now();
        await fleet.stop();
        // Two workers and a supervisor, one after the other.
        expect(performance.now() - startedAt).toBeLessThan(15_000);
      }
    } finally {
      await redis.stop();
    }
  });
});

describeRealRedis("an outage in the middle of the work", () => {
  const outages: Record<string, (redis: TestRedis, proxy: FaultProxy, finish: () => void) => Promise<void>> = {
    "Redis is restarted": (redis) => redis.restart(),
    "Redis is killed, and comes back later": async (redis) => {
      await redis.kill();
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await redis.restart();
    },
    "every connection is cut while the answers of the queue are on their way": async (redis, proxy, finish) => {
      const direct = connect(redisSettingsOf(redis.url), "failFast", logger);
      await isConnected(direct);
      const queues = new Queues(direct);
      proxy.set({ kind: "delay", ms: 300 });
      finish();
      await until(async () => (await queues.depth(agentQueue("worker"))).active === 0);
      proxy.set({ kind: "cut" });
      proxy.set({ kind: "pass" });
      await queues.close();
      disconnect(direct);
    },
    "every connection is cut": async (_, proxy) => {
      proxy.set({ kind: "cut" });
      proxy.set({ kind: "pass" });
    },
  };

  test.each(Object.entries(outages))(
    "%s: what runs goes on, is recorded once, and new work is found",
    async (_, outage) => {
      const redis = await startRedis({ appendfsync: "always" });
      const proxy = await faultProxy(redis.port);
      const fleet = await TestFleet.start({ redis: redisSettingsOf(proxy.url) });
      try {
        const gate = Promise.withResolvers<void>();
        let running = 0;
        fleet.acts.set("wait", async ({ taskId }) => {
          running++;
          await gate.promise;
          return { kind: "completed", output: taskId };
        });
        const request = planOf(phase("p", [task("a", { act: "wait" })]), phase("q", [task("b", "{{tasks.a.output}}")]));
        const ids = await Promise.all(Array.from({ length: 20 }, () => fleet.submit(request)));
        // Every place of the worker is taken.
        await until(() => running === 20);
        await outage(redis, proxy, gate.resolve);
        gate.resolve();
        const later = await until(() => fleet.submit(single));
        for (const id of [...ids, later]) {
          await until(async () => (await fleet.store.get(tenant, id))?.status === "completed", { timeoutMs: 20_000 });
        }
        expect(running).toBe(20);
        const types = (await Promise.all(ids.map((id) => fleet.types(id)))).flat();
        expect(types).not.toContain("task.crashed");
        expect(types.filter((type) => type === "task.started")).toHaveLength(40);
      } finally {
        await fleet.stop();
        await proxy.stop();
        await redis.stop();
      }
    },
  );
});
