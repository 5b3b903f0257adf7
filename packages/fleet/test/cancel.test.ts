import { createMetrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { ClaimLostError } from "@flotilla/workflow";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Claims } from "../src/claims.ts";
import { Queues } from "../src/index.ts";
import { agentQueue } from "../src/keys.ts";
import { phase, planOf, statuses, task, tenant, TestFleet } from "./fleet.ts";

/** From the answer to a cancel to the signal of the running task. */
const promisedMs = 2000;

describeRealRedis("a cancel from anywhere", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  /** A fleet has many processes: this one has the worker, and nothing else of it is told of the cancel. */
  let elsewhere: TestFleet;
  const aborted = new Map<string, { at: number; reason: unknown }>();
  /** What a running task waits for; each test has one of its own. */
  let gate: PromiseWithResolvers<void>;
  beforeAll(async () => {
    redis = await startRedis();
  });
  beforeEach(async () => {
    gate = Promise.withResolvers();
    const { promise } = gate;
    const settings = redisSettingsOf(redis.url);
    fleet = await TestFleet.start({ redis: settings, workers: 0 });
    elsewhere = await TestFleet.start({ redis: settings, supervisors: 0 });
    elsewhere.acts.set("hang", async ({ workflowId }, _, signal) => {
      signal.addEventListener("abort", () => {
        aborted.set(workflowId, { at: performance.now(), reason: signal.reason });
      });
      await promise;
      return { kind: "completed", output: "too late" };
    });
  });
  afterEach(async () => {
    gate.resolve();
    vi.restoreAllMocks();
    await elsewhere.stop();
    await fleet.stop();
  });
  afterAll(() => redis.stop());

  const hanging = planOf(phase("p", [task("a", { act: "hang" })]), phase("q", [task("b")]));

  async function started(): Promise<string> {
    const id = await fleet.submit(hanging);
    await until(async () => (await fleet.types(id)).includes("task.started"));
    return id;
  }

  test("reaches each running task on another worker within two seconds, and nothing of it goes on", async () => {
    const ids = await Promise.all(Array.from({ length: 15 }, started));
    for (const id of ids) {
      // At every phase of the renewal by which it is heard of.
      await new Promise((resolve) => setTimeout(resolve, 130));
      const askedAt = performance.now();
      await fleet.store.cancel(tenant, id);
      void until(() => aborted.has(id)).then(() => expect(aborted.get(id)?.reason).toBeInstanceOf(ClaimLostError));
      aborted.set(`asked ${id}`, { at: askedAt, reason: undefined });
    }
    await until(() => ids.every((id) => aborted.has(id)));
    const tookMs = ids.map((id) => (aborted.get(id)?.at ?? NaN) - (aborted.get(`asked ${id}`)?.at ?? NaN));
    expect(Math.max(...tookMs)).toBeLessThan(promisedMs);
    const runs = await Promise.all(ids.map((id) => fleet.end(id)));
    for (const run of runs) {
      expect(run.view.status).toBe("cancelled");
      expect(statuses(run)).toEqual({ a: "cancelled", b: "cancelled" });
    }
    // What the tasks say now is too late, and the tasks behind them were never dispatched.
    gate.resolve();
    const queues = new Queues(fleet.connection);
    await until(async () => (await queues.depth(agentQueue("worker"))).active === 0);
    for (const run of runs) expect(await fleet.types(run.id)).toEqual(run.events.map(({ type }) => type));
  });

  test("the control: without the answer to the renewal no signal comes, and the late result is refused all the same", async () => {
    vi.spyOn(Claims.prototype, "renew").mockResolvedValue("renewed");
    const id = await started();
    await fleet.store.cancel(tenant, id);
    const cancelled = await fleet.end(id);
    const askedAt = performance.now();
    await until(() => aborted.has(id) || performance.now() - askedAt > promisedMs + 1000);
    expect(aborted.has(id)).toBe(false);
    gate.resolve();
    const queues = new Queues(fleet.connection);
    await until(async () => (await queues.depth(agentQueue("worker"))).active === 0);
    expect(await fleet.types(id)).toEqual(cancelled.events.map(({ type }) => type));
    expect((await fleet.store.get(tenant, id))?.status).toBe("cancelled");
  });

  test("of a task that waits in its queue ends it before a worker has begun it", async () => {
    const id = await fleet.submit(planOf(phase("p", [task("a", "a", { agent: "planner" })])));
    await elsewhere.stop();
    const late = await fleet.submit(planOf(phase("p", [task("a")])));
    await until(async () => (await fleet.types(late)).includes("task.scheduled"));
    await fleet.store.cancel(tenant, late);
    await fleet.end(late);
    const worker = fleet.worker("late", "worker", createMetrics());
    await worker.start();
    const queues = new Queues(fleet.connection);
    await until(async () => {
      const { wait, prioritized, active } = await queues.depth(agentQueue("worker"));
      return wait + prioritized + active === 0;
    });
    await worker.stop();
    expect(await fleet.types(late)).not.toContain("task.started");
    await fleet.store.cancel(tenant, id);
  });
});
