import { createMetrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { Executor } from "@flotilla/workflow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { copyPauses, restorePauses } from "../src/archive/pause-copy.ts";
import type { AgentWorker } from "../src/index.ts";
import { phase, planOf, statuses, story, task, tenant, TestFleet } from "./fleet.ts";

const operator = "0badf00d";

describeRealRedis("a paused agent type", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  let worker: AgentWorker;
  beforeEach(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), workers: 0 });
    await fleet.addWorker("p", ["planner"]);
    worker = await startWorker("w");
  });
  afterEach(async () => {
    await worker.stop();
    await fleet.stop();
    await redis.stop();
  });

  async function startWorker(id: string): Promise<AgentWorker> {
    const started = fleet.worker(id, "worker", createMetrics());
    await started.start();
    return started;
  }

  const pause = async () => {
    await fleet.store.pause("worker", operator);
    await until(() => worker.isPaused, { what: "the worker to know" });
  };

  /** Tasks of a type that is not paused, one after the other: what would be taken has been taken by their end. */
  const meanwhile = () =>
    fleet.run(planOf(...[1, 2, 3, 4].map((n) => phase(`p${n}`, [task(`t${n}`, n, { agent: "planner" })]))));

  const waiting = async (id: string) => (await fleet.store.get(tenant, id))?.tasks[0];

  test("has its tasks wait, across new workers, until it is resumed; no attempt is spent", async () => {
    const before = await fleet.submit(planOf(phase("main", [task("a")])));
    await meanwhile();
    expect(await waiting(before)).toMatchObject({ status: "completed" });
    await pause();
    const { pausedSince, ...agent } = (await fleet.store.agents()).find(({ type }) => type === "worker") ?? {};
    expect(agent).toMatchObject({ paused: true });
    const id = await fleet.submit(planOf(phase("main", [task("a")])));
    await meanwhile();
    expect(await waiting(id)).toMatchObject({ status: "queued", attempt: 1, waitingFor: { reason: "paused" } });

    await worker.stop();
    worker = await startWorker("w2");
    expect(worker.isPaused).toBe(true);
    expect(worker.check().ok).toBe(true);
    await meanwhile();
    expect(await waiting(id)).toMatchObject({ status: "queued", waitingFor: { reason: "paused" } });
    // To say it again moves nothing.
    expect(await fleet.store.pause("worker", operator)).toMatchObject({ paused: true, pausedSince });

    expect(await fleet.store.resume("worker", operator)).not.toHaveProperty("pausedSince");
    const run = await fleet.end(id);
    expect(statuses(run)).toEqual({ a: "completed" });
    expect(story(run, "a")).toEqual(["task.scheduled", "task.started", "task.completed"]);
  });

  test("lets what runs come to its end, and takes the next only when it is resumed", async () => {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let runs = 0;
    const gate: Executor = async ({ taskId }) => {
      runs++;
      await opened;
      return { kind: "completed", output: taskId };
    };
    fleet.acts.set("gate", gate);
    const id = await fleet.submit(planOf(phase("one", [task("a", { act: "gate" })]), phase("two", [task("b")])));
    await until(() => runs === 1, { what: "the task to run" });
    await pause();
    expect(await waiting(id)).not.toHaveProperty("waitingFor");
    open();
    await until(async () => (await waiting(id))?.status === "completed", { what: "the end of what runs" });
    await meanwhile();
    expect((await fleet.store.get(tenant, id))?.tasks[1]).toMatchObject({ status: "queued" });
    await fleet.store.resume("worker", operator);
    expect(statuses(await fleet.end(id))).toEqual({ a: "completed", b: "completed" });
  });

  test("is paused again by a rebuild, unless it was resumed before; one that nobody knows is not", async () => {
    expect(await fleet.store.pause("nobody", operator)).toBeUndefined();
    await pause();
    const copy = await copyPauses(fleet.connection, fleet.archive, "");
    await fleet.connection.flushall();
    // The copy outlives a Redis that has lost everything.
    expect(await copyPauses(fleet.connection, fleet.archive, copy)).toBe(copy);
    expect(await restorePauses(fleet.connection, fleet.archive)).toEqual(["worker"]);
    await until(async () => (await fleet.store.resume("worker", operator))?.paused === false, { what: "the registry" });
    await copyPauses(fleet.connection, fleet.archive, copy);
    await fleet.connection.del("{fleet}:paused");
    expect(await restorePauses(fleet.connection, fleet.archive)).toEqual([]);
  });

  test("a worker that dies leaves its task waiting for the lease, and then for the next worker", async () => {
    fleet.acts.set("hang", (_task, _journal, signal) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    const id = await fleet.submit(planOf(phase("main", [task("a", { act: "hang" })])));
    await until(async () => (await waiting(id))?.status === "running", { what: "the task to run" });
    expect(await waiting(id)).not.toHaveProperty("waitingFor");
    // As if the last renewal had been 5 s ago: the next one is to come, and here it does within 1.5 s.
    const [lease] = await fleet.keys(":leases");
    await fleet.connection.zincrby(lease ?? "", -5000, `${id}|a`);
    expect(await waiting(id)).toMatchObject({ status: "running", waitingFor: { reason: "lease" } });
    await until(async () => (await waiting(id))?.waitingFor === undefined, { what: "the worker to be heard again" });
  });
});
