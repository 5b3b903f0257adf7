import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, type FaultProxy, faultProxy, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Claims } from "../src/claims.ts";
import { Queues } from "../src/index.ts";
import { admissionQueue, agentQueue } from "../src/keys.ts";
import { phase, planOf, type Run, story, task, tenant, TestFleet } from "./fleet.ts";

const single = planOf(phase("p", [task("a")]));

/** Ms between two events of a run. */
function between({ events }: Run, from: string, to: string): number {
  const start = events.find(({ type }) => type === from);
  const end = events.find(({ type, seq }) => type === to && seq > (start?.seq ?? Infinity));
  return (end?.at ?? NaN) - (start?.at ?? NaN);
}

/** What recovery.test.ts shows with clocks that are helped along, in the time that it takes. */
describeRealRedis("recovery in real time", () => {
  let redis: TestRedis;
  let proxy: FaultProxy;
  let fleet: TestFleet;
  beforeEach(async () => {
    redis = await startRedis({ appendfsync: "always" });
    proxy = await faultProxy(redis.port);
    fleet = await TestFleet.start({ redis: redisSettingsOf(proxy.url), workers: 0, supervisors: 0 });
  });
  afterEach(async () => {
    proxy.set({ kind: "pass" });
    redis.resume();
    await fleet.stop();
    await proxy.stop();
    await redis.stop();
  });

  test("a task whose worker died is with another one within two leases", async () => {
    await fleet.addSupervisor();
    const id = await fleet.submit(single);
    const claims = new Claims({
      scripts: fleet.scripts,
      blobs: fleet.blobs,
      worker: "dead",
      onRefused: () => undefined,
    });
    await until(
      async () =>
        typeof (await claims.claim({ workflowId: id, taskId: "a", attempt: 1, dispatch: 1 }, "dead")) !== "string",
    );
    await fleet.addWorker("alive");
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });
    expect(between(run, "task.started", "task.crashed")).toBeGreaterThanOrEqual(6000);
    expect(between(run, "task.started", "task.completed")).toBeLessThan(12_000);
  });

  test("a task that runs for longer than many leases keeps its claim", async () => {
    await fleet.addSupervisor();
    await fleet.addWorker("alive");
    fleet.acts.set("long", async () => {
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      return { kind: "completed", output: null };
    });
    const run = await fleet.end(await fleet.submit(planOf(phase("p", [task("a", { act: "long" })]))), 60_000);
    expect(story(run, "a")).toEqual(["task.scheduled", "task.started", "task.completed"]);
  });

  test("an outage longer than a lease fails nothing over", async () => {
    await fleet.addSupervisor();
    await fleet.addWorker("alive");
    const gate = Promise.withResolvers<void>();
    fleet.acts.set("wait", async () => {
      await gate.promise;
      return { kind: "completed", output: null };
    });
    const id = await fleet.submit(planOf(phase("p", [task("a", { act: "wait" }), task("b", { act: "wait" })])));
    await until(async () => (await fleet.types(id)).filter((type) => type === "task.started").length === 2);
    redis.pause();
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    redis.resume();
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    gate.resolve();
    await until(async () => (await fleet.store.get(tenant, id))?.status === "completed", { timeoutMs: 30_000 });
    expect(await fleet.types(id)).not.toContain("task.crashed");
  });

  test("a lost admission job costs no more than about six seconds", async () => {
    await fleet.addWorker("alive");
    const id = await fleet.submit(single);
    const queue = new Queues(fleet.connection).open(admissionQueue);
    await until(() => queue.getJob(id));
    await queue.remove(id);
    await fleet.addSupervisor();
    const run = await fleet.end(id);
    expect(run.view.status).toBe("completed");
    expect(between(run, "workflow.submitted", "workflow.started")).toBeLessThan(6500);
  });

  test("a job that is missing from its queue is found out by a look and dispatched anew within a minute", async () => {
    await fleet.addSupervisor();
    const id = await fleet.submit(single);
    const queue = new Queues(fleet.connection).open(agentQueue("worker"));
    const jobId = `${id}.a.1.1`;
    await until(() => queue.getJob(jobId));
    await queue.remove(jobId);
    await fleet.addWorker("alive");
    const run = await fleet.end(id, 150_000);
    expect(run.view.status).toBe("completed");
    expect(story(run, "a")).toEqual([
      "task.scheduled",
      "repair.applied",
      "task.scheduled",
      "task.started",
      "task.completed",
    ]);
    expect(between(run, "task.scheduled", "task.completed")).toBeLessThan(60_000);
  });

  /** Twenty workflows of twelve tasks in a row: something is in flight at any moment. */
  async function underLoad(disturb: (isOver: () => boolean) => Promise<void>): Promise<void> {
    await fleet.addSupervisor();
    await fleet.addSupervisor();
    await fleet.addWorker("w1");
    await fleet.addWorker("w2");
    const runs = new Map<string, number>();
    fleet.acts.set("work", async ({ workflowId, taskId }) => {
      const name = `${workflowId}/${taskId}`;
      runs.set(name, (runs.get(name) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return { kind: "completed", output: taskId };
    });
    const work = Array.from({ length: 12 }, (_, n) => task(`t${n}`, { act: "work" }));
    const request = planOf(phase("p", work, { parallel: false }));
    const ids = await Promise.all(Array.from({ length: 20 }, () => fleet.submit(request)));
    let isOver = false;
    const disturbed = disturb(() => isOver);
    for (const id of ids) {
      await until(async () => (await fleet.store.get(tenant, id))?.status === "completed", { timeoutMs: 120_000 });
    }
    isOver = true;
    await disturbed;
    expect(runs.size).toBe(240);
    expect(new Set(runs.values())).toEqual(new Set([1]));
    for (const id of ids) {
      const types = await until(() => fleet.types(id));
      expect(types.filter((type) => type === "task.completed")).toHaveLength(12);
      expect(types).not.toContain("task.crashed");
    }
  }

  test("Redis is restarted again and again in the middle of the work: all completes, each task run once", async () => {
    await underLoad(async (isOver) => {
      for (let times = 0; times < 5 && !isOver(); times++) {
        await new Promise((resolve) => setTimeout(resolve, 700));
        await redis.restart();
      }
    });
  });

  test("connections are cut again and again in the middle of the work: all completes, each task run once", async () => {
    await underLoad(async (isOver) => {
      for (let times = 0; times < 10 && !isOver(); times++) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        proxy.set({ kind: "cut" });
        proxy.set({ kind: "pass" });
      }
    });
  });
});
