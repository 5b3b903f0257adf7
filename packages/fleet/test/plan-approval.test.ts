import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { Json, PhaseRequest, Verdict, WorkflowRequest } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { phase, planOf, statuses, task, tenant, TestFleet } from "./fleet.ts";

const planned = [phase("more", [task("more")])];

describeRealRedis("what an agent has planned, where plans are to be approved", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
    fleet.acts.set("plan", async () => ({ kind: "completed", output: "x".repeat(2000), append: planned }));
  });
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  const asking: WorkflowRequest = {
    ...planOf(phase("p", [{ id: "planner", agent: "planner", input: { act: "plan" } }])),
    approvePlan: true,
  };
  const settle = (item: string, verdict: Verdict) => fleet.store.inbox.settle(tenant, item, verdict, "00000000");
  const itemOf = async (id: string, by: string) => {
    const found = async () => {
      const { items = [] } = (await fleet.store.inbox.list({ tenant, workflowId: id, limit: 10 })) ?? {};
      return items.find(({ detail }) => "by" in detail && detail.by === by);
    };
    return until(found, { what: "an item" });
  };
  /** A workflow whose planner has planned, and waits for a person. */
  const parked = async (): Promise<{ id: string; item: string }> => {
    const id = await fleet.submit(asking);
    await settle((await itemOf(id, "request")).id, { decision: "approve" });
    const { id: item, taskId, kind, detail } = await itemOf(id, "planner");
    expect({ taskId, kind, detail }).toMatchObject({ taskId: "planner", kind: "plan", detail: { phases: planned } });
    await until(async () => (await fleet.store.get(tenant, id))?.status === "waiting", { what: "the wait" });
    return { id, item };
  };
  const edit = (...phases: PhaseRequest[]) => ({ decision: "edit" as const, edit: { phases } as unknown as Json });

  test("it runs once it is approved, and the outputs of the planner are there", async () => {
    const { id, item } = await parked();
    expect(await settle(item, { decision: "approve" })).toMatchObject({ kind: "settled", item: { taskId: "planner" } });
    const run = await fleet.end(id);
    expect(statuses(run)).toEqual({ planner: "completed", more: "completed" });
    expect(run.events.map(({ type }) => type)).toContain("workflow.resumed");
  });

  test("an edit is judged beside the phases that are there, and one that cannot run leaves the item open", async () => {
    const { id, item } = await parked();
    expect(await settle(item, edit(phase("q", [task("planner"), task("x", null, { agent: "nobody" })])))).toEqual({
      kind: "invalid",
      issues: [
        expect.objectContaining({ path: "/edit/phases/0/tasks/0/id", code: "duplicate-task" }),
        expect.objectContaining({ path: "/edit/phases/0/tasks/1/agent", code: "unknown-agent" }),
      ],
    });
    expect((await itemOf(id, "planner")).id).toBe(item);
    await settle(item, edit(phase("q", [task("other", "{{tasks.planner.output}}")])));
    expect(statuses(await fleet.end(id))).toEqual({ planner: "completed", other: "completed" });
  });

  test("a denial aborts; a retry has the planner plan again, and asks again", async () => {
    const { id, item } = await parked();
    await settle(item, { decision: "deny", reason: "no" });
    expect((await fleet.end(id)).view).toMatchObject({ status: "aborted", error: { code: "plan-denied" } });
    await fleet.store.retry(tenant, id);
    const again = await itemOf(id, "planner");
    expect(again.id).not.toBe(item);
    await settle(again.id, { decision: "approve" });
    expect((await fleet.end(id)).view.status).toBe("completed");
  });

  test("a fork from the wait asks for itself, and its source goes on waiting", async () => {
    const { id, item } = await parked();
    const seq = Number(item.split(".")[1]);
    const fork = await fleet.store.fork(tenant, id, { fromSeq: seq });
    if (fork?.kind !== "stored") throw new Error("no fork");
    await settle((await itemOf(fork.id, "planner")).id, { decision: "approve" });
    expect((await fleet.end(fork.id)).view.status).toBe("completed");
    expect((await itemOf(id, "planner")).id).toBe(item);
    await fleet.store.cancel(tenant, id);
    expect((await fleet.end(id)).view.status).toBe("cancelled");
    expect((await fleet.store.inbox.list({ tenant, workflowId: id, limit: 10 }))?.items).toEqual([]);
  });
});
