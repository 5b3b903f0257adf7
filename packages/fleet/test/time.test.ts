import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { phase, planOf, statuses, task, tenant, TestFleet } from "./fleet.ts";

describeRealRedis("time", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
    // Until it is told to stop.
    fleet.acts.set(
      "hang",
      (_claimed, _journal, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  /** A time by the clock of Redis. */
  async function inMs(ms: number): Promise<string> {
    const [seconds, micros] = await fleet.connection.time();
    return new Date(Number(seconds) * 1000 + Math.floor(Number(micros) / 1000) + ms).toISOString();
  }
  const hang = { act: "hang" };
  const atOf = (events: readonly { type: string; at: number }[], type: string) =>
    events.find((event) => event.type === type)?.at ?? Number.NaN;

  test.each([0, 300_000, -300_000])(
    "a workflow starts when its time has come by the clock of Redis, with clocks of others %i ms off",
    async (offMs) => {
      const startAt = await inMs(1200);
      const { now } = Date;
      vi.spyOn(Date, "now").mockImplementation(() => now() + offMs);
      const id = await fleet.submit({ ...planOf(phase("p", [task("a")])), startAt });
      const view = await fleet.store.get(tenant, id);
      expect(view).toMatchObject({
        status: "queued",
        tasks: [{ status: "pending", waitingFor: { reason: "schedule", until: startAt } }],
      });
      const { view: ended, events } = await fleet.end(id);
      expect(ended.status).toBe("completed");
      expect(atOf(events, "workflow.started")).toBeGreaterThanOrEqual(Date.parse(startAt));
      expect(atOf(events, "task.started")).toBeGreaterThanOrEqual(Date.parse(startAt));
    },
  );

  test("a time that is over starts it at once", async () => {
    const { view } = await fleet.run({ ...planOf(phase("p", [task("a")])), startAt: await inMs(-60_000) });
    expect(view.status).toBe("completed");
  });

  test("a workflow that waits for its time can be cancelled, and never starts", async () => {
    const id = await fleet.submit({ ...planOf(phase("p", [task("a")])), startAt: await inMs(3_600_000) });
    await fleet.store.cancel(tenant, id, "no more");
    const { view, events } = await fleet.end(id);
    expect(view.status).toBe("cancelled");
    expect(events.map(({ type }) => type)).not.toContain("workflow.started");
  });

  test("a deadline aborts a workflow, whatever runs, and a retry lifts it", async () => {
    let isHanging = true;
    fleet.acts.set("hang-once", (...run) =>
      isHanging
        ? (fleet.acts.get("hang")?.(...run) ?? Promise.reject(new Error()))
        : Promise.resolve({ kind: "completed", output: 1 }),
    );
    const deadline = await inMs(700);
    const plan = planOf(phase("p", [task("a"), task("b", { act: "hang-once" })]), phase("q", [task("c")]));
    const aborted = await fleet.run({ ...plan, deadline });
    expect(aborted.view).toMatchObject({ status: "aborted", error: { class: "deadline", code: "deadline-passed" } });
    expect(aborted.view.error).not.toHaveProperty("taskId");
    expect(statuses(aborted)).toEqual({ a: "completed", b: "cancelled", c: "cancelled" });
    expect(atOf(aborted.events, "workflow.aborted")).toBeGreaterThanOrEqual(Date.parse(deadline));
    isHanging = false;
    await fleet.store.retry(tenant, aborted.id);
    expect((await fleet.end(aborted.id)).view).toMatchObject({ status: "completed", result: "c" });
  });

  test("a deadline ends a workflow that has not started", async () => {
    const request = { ...planOf(phase("p", [task("a")])), startAt: await inMs(3_600_000), deadline: await inMs(300) };
    expect((await fleet.run(request)).view).toMatchObject({ status: "aborted", error: { class: "deadline" } });
  });

  test("the deadline of a task fails that task alone, running or waiting, and takes it from whoever has it", async () => {
    const deadline = await inMs(800);
    const late = { deadline, onFailure: "continue" as const };
    const { view, events } = await fleet.run(
      planOf(
        phase("p", [task("a", hang, late), { ...task("nobody", 1, late), agent: "absent" }]),
        phase("q", [task("b", "{{tasks.a.output}}")]),
      ),
    );
    expect(view).toMatchObject({ status: "completed", result: null });
    for (const one of view.tasks.slice(0, 2)) {
      expect(one).toMatchObject({ status: "failed", error: { class: "deadline", code: "deadline-passed" } });
    }
    expect(view.tasks[0]?.attempt).toBe(1);
    expect(events.filter(({ type }) => type === "task.retrying")).toEqual([]);
  });

  test("a job of a task whose deadline is over starts nothing any more", async () => {
    const late = { deadline: await inMs(300), onFailure: "continue" as const };
    const plan = planOf(phase("p", [{ ...task("late", 1, late), agent: "tardy" }, task("slow", hang)]));
    const id = await fleet.submit(plan);
    await until(async () => (await fleet.types(id)).includes("task.failed"), { what: "the deadline" });
    await fleet.addWorker("w9", ["tardy"]);
    await until(async () => (await fleet.store.queues.depth("agent.tardy")).prioritized === 0, {
      what: "an empty queue",
    });
    await fleet.store.cancel(tenant, id);
    const { events } = await fleet.end(id);
    expect(events.some((event) => event.type === "task.started" && event.taskId === "late")).toBe(false);
  });
});
