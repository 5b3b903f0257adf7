import { ProblemError } from "@flotilla/client";
import { describeRealRedis, until } from "@flotilla/testkit";
import type { ItemView } from "@flotilla/workflow";
import { afterAll, beforeAll, describe, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, together } from "./plans.ts";
import { Wire } from "./wire.ts";

/** Submits a request of which everything that is open will wait, and gives the first item of it. */
async function parked(fleet: Fleet, request: Parameters<typeof fleet.client.submit>[0]) {
  const { id } = await fleet.client.submit(request);
  await until(async () => (await fleet.client.get(id)).status === "waiting", { timeoutMs: 40_000, what: "an item" });
  const [item] = (await fleet.client.inbox({ workflowId: id })).items;
  if (!item) throw new Error("a workflow that waits for nothing");
  return { id, item };
}

async function effectsOf(fleet: Fleet, workflowId: string) {
  return (await fleet.effects()).filter((effect) => effect.workflowId === workflowId);
}

const steps = [{ tool: "unsafe" }, { tool: "idempotent" }];
const asking = { approval: { summary: "pay the harbour master" }, steps, output: "paid" };
const oneAsks = planOf(together("p", [probe("a", asking, { retry: { attempts: 4, backoffMs: 1 } })]));

describeRealRedis("approvals", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes(2), env: { AGENT_CONCURRENCY: "1" } });
  }, 60_000);
  afterAll(() => fleet.dispose());

  describe.concurrent("a task that asks", () => {
    test("shows exactly what it is about to do, and does nothing of it", { timeout: 60_000 }, async ({ expect }) => {
      const { id, item } = await parked(fleet, oneAsks);
      const { approval: _, ...shown } = asking;
      expect(item).toMatchObject({
        kind: "approval",
        summary: "pay the harbour master",
        decisions: ["approve", "deny", "edit"],
        detail: {
          action: "input",
          arguments: shown,
          argumentsHash: expect.stringMatching(/^[0-9a-f]{64}$/),
          attempt: 1,
        },
      });
      expect((await fleet.client.get(id)).tasks).toMatchObject([
        { status: "waiting", waitingFor: { reason: "person", item: item.id, since: item.openedAt } },
      ]);
      expect(await effectsOf(fleet, id)).toEqual([]);
      await fleet.client.cancel(id);
    });

    test(
      "runs on exactly once when it is approved, and who, when and why is on record",
      { timeout: 60_000 },
      async ({ expect }) => {
        const { id, item } = await parked(fleet, oneAsks);
        const settled = await fleet.client.settle(item.id, { decision: "approve", reason: "it is due" });
        expect(settled).toMatchObject({ id: item.id, kind: "approval", decision: "approve", taskId: "a" });
        expect(await fleet.client.wait(id)).toMatchObject({
          status: "completed",
          result: { output: "paid", attempt: 1, claim: 2, executedSteps: 2 },
        });
        expect((await effectsOf(fleet, id)).map(({ step, applied }) => [step, applied])).toEqual([
          [0, true],
          [1, true],
        ]);
        const events = await collect(fleet.client.events(id));
        expect(events.filter(({ type }) => type === "item.settled")).toMatchObject([
          {
            at: settled.settledAt,
            taskId: "a",
            data: { item: item.id, decision: "approve", reason: "it is due", by: expect.stringMatching(/^\w{8}$/) },
          },
        ]);
      },
    );

    test("does what a person put in the place of it", { timeout: 60_000 }, async ({ expect }) => {
      const { id, item } = await parked(fleet, oneAsks);
      await fleet.client.settle(item.id, { decision: "edit", edit: { output: "half", steps: steps.slice(1) } });
      expect(await fleet.client.wait(id)).toMatchObject({
        status: "completed",
        result: { output: "half", executedSteps: 1 },
      });
      expect(await effectsOf(fleet, id)).toHaveLength(1);
    });

    test(
      "fails when it is denied, whatever attempts are left, and its policy holds",
      { timeout: 60_000 },
      async ({ expect }) => {
        const error = { class: "cancelled", code: "denied" };
        const { id, item } = await parked(fleet, oneAsks);
        await fleet.client.settle(item.id, { decision: "deny", reason: "too dear" });
        expect(await fleet.client.wait(id)).toMatchObject({ status: "failed", error, tasks: [{ attempt: 1, error }] });
        const tolerant = planOf(together("p", [probe("a", asking, { onFailure: "continue" })]));
        const other = await parked(fleet, tolerant);
        await fleet.client.settle(other.item.id, { decision: "deny" });
        expect(await fleet.client.wait(other.id)).toMatchObject({ status: "completed", tasks: [{ error }] });
        expect([...(await effectsOf(fleet, id)), ...(await effectsOf(fleet, other.id))]).toEqual([]);
      },
    );

    test("is not asked about again when it fails afterwards", { timeout: 60_000 }, async ({ expect }) => {
      const input = { ...asking, fail: [{ attempt: 1, class: "transient" }] };
      const { id, item } = await parked(
        fleet,
        planOf(together("p", [probe("a", input, { retry: { attempts: 2, backoffMs: 1 } })])),
      );
      await fleet.client.settle(item.id, { decision: "approve" });
      expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", tasks: [{ attempt: 2 }] });
      expect(await effectsOf(fleet, id)).toHaveLength(2);
    });

    test(
      "hears one of many people, and who repeats their word hears the same again",
      { timeout: 60_000 },
      async ({ expect }) => {
        const { id, item } = await parked(fleet, oneAsks);
        const decisions = ["approve", "deny"].flatMap((decision) =>
          [1, 2, 3].map((n) => ({ decision, reason: `${n}` })),
        );
        const wire = new Wire(fleet.ready);
        const answers = await Promise.all(
          decisions.map(async (body) => ({ body, ...(await wire.call(`POST /v1/inbox/${item.id}`, { body })) })),
        );
        const [first, ...others] = answers.toSorted((a, b) => a.status - b.status);
        expect(first).toMatchObject({ status: 200 });
        for (const other of others) expect(other).toMatchObject({ status: 409, json: { code: "already-settled" } });
        await fleet.client.wait(id);
        const again = await wire.call(`POST /v1/inbox/${item.id}`, { body: first?.body });
        expect([again.status, again.json]).toEqual([200, first?.json]);
        const settled = (await collect(fleet.client.events(id))).filter(({ type }) => type === "item.settled");
        expect(settled).toHaveLength(1);
      },
    );
  });

  describe.concurrent("a plan that wants to be approved", () => {
    const asking = (...ids: string[]) => ({
      ...planOf(
        together(
          "p",
          ids.map((id) => probe(id, { output: id, steps: [{ tool: "unsafe" }] })),
        ),
      ),
      approvePlan: true,
    });

    test(
      "is shown whole, and nothing of it runs before a person has said so",
      { timeout: 60_000 },
      async ({ expect }) => {
        const { id, item } = await parked(fleet, asking("a"));
        expect(item).toMatchObject({
          kind: "plan",
          decisions: ["approve", "deny", "edit"],
          detail: { by: "request", tasks: 1, phases: asking("a").plan?.phases },
        });
        expect(item).not.toHaveProperty("taskId");
        expect((await fleet.client.get(id)).tasks).toMatchObject([
          { status: "waiting", waitingFor: { reason: "person", item: item.id } },
        ]);
        expect(await effectsOf(fleet, id)).toEqual([]);
        await fleet.client.settle(item.id, { decision: "approve", reason: "fine" });
        expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", result: { output: "a" } });
        expect((await collect(fleet.client.events(id))).find(({ type }) => type === "item.settled")).toMatchObject({
          data: { item: item.id, decision: "approve", reason: "fine", by: expect.stringMatching(/^\w{8}$/) },
        });
      },
    );

    test("is replaced by an edit, once that is a plan", { timeout: 60_000 }, async ({ expect }) => {
      const { id, item } = await parked(fleet, asking("a"));
      const wire = new Wire(fleet.ready);
      const edit: unknown = {
        phases: [{ ...together("q", [probe("b", { sleepMs: -1 }), { ...probe("b"), agent: "nobody" }]) }],
      };
      const refused = await wire.call(`POST /v1/inbox/${item.id}`, { body: { decision: "edit", edit } });
      expect(refused.status).toBe(400);
      expect(refused.json).toMatchObject({
        code: "invalid-body",
        errors: [
          { path: "/edit/phases/0/tasks/1/id", code: "duplicate-task" },
          { path: "/edit/phases/0/tasks/1/agent", code: "unknown-agent" },
          { path: "/edit/phases/0/tasks/0/input/sleepMs", code: "invalid-input" },
        ],
      });
      expect((await fleet.client.inbox({ workflowId: id })).items).toEqual([item]);
      await fleet.client.settle(item.id, {
        decision: "edit",
        edit: { phases: [{ name: "q", parallel: true, tasks: [{ id: "b", agent: "probe", input: { output: 2 } }] }] },
      });
      const view = await fleet.client.wait(id);
      expect(view).toMatchObject({ status: "completed", result: { output: 2 }, plan: { phases: [{ name: "q" }] } });
      expect(view.tasks.map((task) => task.id)).toEqual(["b"]);
    });

    test("aborts the workflow with the reason where it is denied", { timeout: 60_000 }, async ({ expect }) => {
      const { id, item } = await parked(fleet, asking("a", "b"));
      await fleet.client.settle(item.id, { decision: "deny", reason: "not today" });
      expect(await fleet.client.wait(id)).toMatchObject({
        status: "aborted",
        error: { class: "cancelled", code: "plan-denied", message: "a person denied the plan: not today" },
        tasks: [{ status: "cancelled" }, { status: "cancelled" }],
      });
      expect(await effectsOf(fleet, id)).toEqual([]);
    });
  });

  test(
    "a task that waits holds no worker and no place: as many as one likes may wait at once",
    { timeout: 90_000 },
    async ({ expect }) => {
      const many = planOf(
        together(
          "p",
          Array.from({ length: 12 }, (_, at) => probe(`a${at}`, { approval: { summary: "" } })),
        ),
      );
      const { id } = await parked(fleet, { ...many, concurrency: 2 });
      const { items } = await fleet.client.inbox({ workflowId: id });
      expect(items).toHaveLength(12);
      const { id: other } = await fleet.client.submit(planOf(together("p", [probe("b", { output: "done" })])));
      expect(await fleet.client.wait(other)).toMatchObject({ status: "completed" });
      for (const item of items) await fleet.client.settle(item.id, { decision: "approve" });
      expect(await fleet.client.wait(id)).toMatchObject({ status: "completed" });
    },
  );
});

describeRealRedis("approvals across a restart of everything", () => {
  test(
    "an item outlives every process, and is settled once by the next ones",
    { timeout: 120_000 },
    async ({ expect }) => {
      const before = await Fleet.start({ args: onlyProbes(1) });
      let item: ItemView;
      let id: string;
      let after: Fleet | undefined;
      try {
        ({ id, item } = await parked(before, oneAsks));
        const plan = await parked(before, {
          ...planOf(together("p", [probe("b", { output: "ran" })])),
          approvePlan: true,
        });
        await before.stop("SIGKILL");
        await until(() => !before.leavesAny(), { what: "the end of all processes" });
        after = await Fleet.start({ args: onlyProbes(1), dataDir: before.ready.dataDir });
        expect((await after.client.inbox({ workflowId: id })).items).toEqual([item]);
        expect((await after.client.inbox({ workflowId: plan.id })).items).toEqual([plan.item]);
        await after.client.settle(plan.item.id, { decision: "approve" });
        expect(await after.client.wait(plan.id)).toMatchObject({ status: "completed", result: { output: "ran" } });
        expect(await after.client.get(id)).toMatchObject({ status: "waiting", tasks: [{ status: "waiting" }] });
        await after.client.settle(item.id, { decision: "approve" });
        expect(await after.client.wait(id)).toMatchObject({
          status: "completed",
          result: { output: "paid", attempt: 1 },
        });
        expect(await effectsOf(after, id)).toHaveLength(2);
        await expect(after.client.settle(item.id, { decision: "deny" })).rejects.toBeInstanceOf(ProblemError);
      } finally {
        await after?.dispose();
        await before.dispose();
      }
    },
  );
});
