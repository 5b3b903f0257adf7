import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { ItemDecision, Json, TaskRequest } from "@flotilla/workflow";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { phase, planOf, statuses, task, tenant, TestFleet } from "./fleet.ts";

describeRealRedis("what was done is undone", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  /** What was undone, in order: the task and what it had given. */
  let undone: [taskId: string, given: Json][] = [];
  /** Undoings that fail, by the task they undo. */
  const stubborn = new Set<string>();

  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), supervisors: 2, workers: 2 });
    fleet.acts.set("undo", async ({ taskId, input }) => {
      if (stubborn.has(taskId)) return { kind: "failed", error: { class: "data", code: "stuck", message: "no" } };
      undone.push([taskId, Object(input).of]);
      return { kind: "completed", output: null };
    });
    fleet.acts.set("fail", async ({ input }) => ({
      kind: "failed",
      error: { class: Object(input).class, code: "told", message: "as told" },
    }));
    fleet.acts.set(
      "hang",
      (_claimed, _journal, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
  });
  beforeEach(() => {
    undone = [];
    stubborn.clear();
  });
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  const undoable = (id: string, more: Partial<TaskRequest> = {}) =>
    task(id, `made by ${id}`, {
      compensate: { agent: "worker", input: { act: "undo", of: `{{tasks.${id}.output}}` } },
      ...more,
    });
  const inTurn = (...ids: string[]) =>
    phase(
      "work",
      ids.map((id) => undoable(id)),
      { parallel: false },
    );
  const failing = (failureClass: string, more: Partial<TaskRequest> = {}) =>
    phase("end", [task("bad", { act: "fail", class: failureClass }, more)]);

  const allBack: [string, Json][] = ["c", "b", "a"].map((id) => [`${id}~undo`, `made by ${id}`]);

  test.each([
    ["onFailure: compensate", "data", { onFailure: "compensate" as const }, "failed"],
    ["an abort", "critical", {}, "aborted"],
  ])("after %s, from the last to the first", async (_, failureClass, more, status) => {
    const run = await fleet.run(planOf(inTurn("a", "b", "c"), failing(failureClass, more)));
    expect(run.view).toMatchObject({ status, compensation: "done", error: { taskId: "bad", code: "told" } });
    expect(statuses(run)).toEqual({ a: "compensated", b: "compensated", c: "compensated", bad: "failed" });
    expect(undone).toEqual(allBack);
    expect(run.view.tasks[0]).toMatchObject({ compensation: { agent: "worker", status: "completed", attempt: 1 } });
    expect(run.events.flatMap((event) => (event.type === "task.compensated" ? [event.taskId] : []))).toEqual([
      "c",
      "b",
      "a",
    ]);
  });

  test("after onFailure: fail, and after a failure that the workflow got over, nothing is", async () => {
    const failed = await fleet.run(planOf(inTurn("a"), failing("data")));
    expect(failed.view).toMatchObject({ status: "failed", compensation: "none", tasks: [{ status: "completed" }, {}] });
    const over = await fleet.run(planOf(inTurn("a"), failing("data", { onFailure: "continue" })));
    expect(over.view).toMatchObject({ status: "completed", compensation: "none" });
    expect(undone).toEqual([]);
  });

  test("a cancel undoes only if it is asked to, and takes away what runs", async () => {
    const plan = planOf(
      inTurn("a", "b", "c"),
      phase("end", [task("hang", { act: "hang" }), { ...task("queued"), agent: "absent" }]),
    );
    for (const compensates of [undefined, "compensates"] as const) {
      const id = await fleet.submit(plan);
      await until(async () =>
        (await fleet.store.get(tenant, id))?.tasks.some((one) => one.id === "hang" && one.status === "running"),
      );
      await fleet.store.cancel(tenant, id, "enough", compensates);
      await fleet.store.cancel(tenant, id, "again", "compensates");
      const run = await fleet.end(id);
      expect(run.view).toMatchObject({ status: "cancelled", compensation: compensates ? "done" : "none" });
      expect(undone).toEqual(compensates ? allBack : []);
      expect(run.events.at(-1)).toMatchObject({ type: "workflow.cancelled", data: { reason: "enough" } });
      expect(run.events.filter(({ type }) => type === "cancel.requested")).toHaveLength(1);
      expect(await fleet.store.retry(tenant, id)).toMatchObject({ kind: "refused" });
    }
  });

  test("a workflow that was undone is not retried", async () => {
    const { id } = await fleet.run(planOf(inTurn("a"), failing("critical")));
    expect(await fleet.store.retry(tenant, id)).toEqual({ kind: "refused", status: "aborted" });
  });

  test("a cancel while it is undone changes nothing", async () => {
    stubborn.add("a~undo");
    const id = await fleet.submit(planOf(inTurn("a", "b"), failing("critical")));
    await until(async () => (await fleet.store.get(tenant, id))?.status === "waiting");
    await fleet.store.cancel(tenant, id);
    await settle(id, "ignore");
    expect((await fleet.end(id)).view).toMatchObject({ status: "aborted", compensation: "failed" });
  });

  async function settle(id: string, decision: ItemDecision): Promise<void> {
    const { items = [] } = (await fleet.store.inbox.list({ tenant, workflowId: id, limit: 10 })) ?? {};
    expect(items).toMatchObject(
      [
        {
          kind: "compensation-failed",
          taskId: "b",
          decisions: ["retry", "ignore"],
          detail: { error: { code: "stuck" } },
        },
      ].map((item) => ({ ...item, taskId: items[0]?.taskId })),
    );
    const outcome = await fleet.store.inbox.settle(tenant, items[0]?.id ?? "", { decision }, "00000000");
    expect(outcome.kind).toBe("settled");
  }

  describe("one that fails does not stop the others, and is put to a person", () => {
    test.each([
      ["ignore", "failed", "completed"],
      ["retry", "done", "compensated"],
    ] as const)("who says %s: compensation is %s", async (decision, compensation, status) => {
      stubborn.add("b~undo");
      const id = await fleet.submit(planOf(inTurn("a", "b", "c"), failing("critical")));
      await until(async () => (await fleet.store.get(tenant, id))?.status === "waiting", { what: "a question" });
      expect(undone.map(([taskId]) => taskId)).toEqual(["c~undo", "a~undo"]);
      expect(await fleet.store.get(tenant, id)).toMatchObject({
        compensation: "failed",
        tasks: [{ status: "compensated" }, { status: "completed", compensation: { status: "waiting" } }, {}, {}],
      });
      stubborn.clear();
      await settle(id, decision);
      const run = await fleet.end(id);
      expect(run.view).toMatchObject({ status: "aborted", compensation, error: { taskId: "bad" } });
      expect(statuses(run)).toMatchObject({ a: "compensated", b: status, c: "compensated" });
      expect(undone.map(([taskId]) => taskId)).toEqual([
        "c~undo",
        "a~undo",
        ...(decision === "retry" ? ["b~undo"] : []),
      ]);
    });
  });
});
