import { ProblemError } from "@flotilla/client";
import { describeRealRedis, until } from "@flotilla/testkit";
import type { ItemView } from "@flotilla/workflow";
import { afterAll, beforeAll, describe, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, run, together } from "./plans.ts";
import { Wire } from "./wire.ts";

const classes = ["idempotent", "queryable", "unsafe"] as const;

describeRealRedis("effects and the inbox", () => {
  let fleet: Fleet;
  // One task a process: a probe that kills itself takes nobody with it.
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes(4), env: { AGENT_CONCURRENCY: "1" } });
  }, 60_000);
  afterAll(() => fleet.dispose());

  async function linesOf(workflowId: string) {
    return (await fleet.effects()).filter((effect) => effect.workflowId === workflowId);
  }

  /** Submits a plan whose tasks leave an effect in doubt, and waits until the workflow waits. */
  async function parked(request: Parameters<typeof fleet.client.submit>[0]): Promise<{ id: string; item: ItemView }> {
    const { id } = await fleet.client.submit(request);
    await until(async () => (await fleet.client.get(id)).status === "waiting", { timeoutMs: 40_000, what: "an item" });
    const [item] = (await fleet.client.inbox({ workflowId: id })).items;
    if (!item) throw new Error("a workflow that waits for nothing");
    return { id, item };
  }

  const steps = [{ tool: "pure" }, { tool: "unsafe" }, { tool: "pure" }];
  const inDoubt = { steps, crash: [{ step: 1, at: "during" }], output: "done" };
  const oneInDoubt = planOf(together("p", [probe("a", inDoubt)]));

  describe.concurrent("a worker that dies", () => {
    const cases = classes.flatMap((tool) => ["before", "during", "after"].map((at) => ({ tool, at })));
    test.for(cases)("$at an effect that is $tool", { timeout: 60_000 }, async ({ tool, at }, { expect }) => {
      const { id } = await fleet.client.submit(
        planOf(together("p", [probe("a", { steps: [{ tool }, { tool }, { tool }], crash: [{ step: 1, at }] })])),
      );
      const isInDoubt = tool === "unsafe" && at === "during";
      if (isInDoubt) {
        const item = await until(async () => (await fleet.client.inbox({ workflowId: id })).items[0], {
          timeoutMs: 40_000,
          what: "an item",
        });
        await fleet.client.settle(item.id, { decision: "happened" });
      }
      const view = await fleet.client.wait(id);
      expect(view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });
      const applied = (await linesOf(id)).filter((line) => line.applied);
      expect(applied.map(({ key }) => key)).toEqual([0, 1, 2].map((step) => `${id}/a/${step}`));
      if (tool === "unsafe") expect(await linesOf(id)).toHaveLength(3);
      const opened = (await collect(fleet.client.events(id))).filter(({ type }) => type === "item.opened");
      expect(opened).toHaveLength(isInDoubt ? 1 : 0);
    });
  });

  test.concurrent(
    "an effect in doubt is told whole, and its task and workflow wait for a person",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id, item } = await parked(oneInDoubt);
      const view = await fleet.client.get(id);
      expect(view.tasks).toMatchObject([
        { status: "waiting", attempt: 1, waitingFor: { reason: "person", since: item.openedAt, item: item.id } },
      ]);
      expect(item).toMatchObject({
        id: expect.stringMatching(new RegExp(`^${id}\\.\\d+$`)),
        kind: "outcome-unknown",
        workflowId: id,
        taskId: "a",
        decisions: ["happened", "not-happened", "fail"],
        detail: { tool: "1", key: `${id}/a/1`, attempt: 1, arguments: { tool: "unsafe", key: null } },
      });
      const listed = await new Wire(fleet.ready).call("GET /v1/inbox?kind=outcome-unknown");
      expect(listed.json).toMatchObject({ items: expect.arrayContaining([expect.objectContaining({ id: item.id })]) });
      await fleet.client.cancel(id);
      await fleet.client.wait(id);
    },
  );

  test.concurrent("that it happened, lets the task go on without it", { timeout: 60_000 }, async ({ expect }) => {
    const { id, item } = await parked(oneInDoubt);
    const settled = await fleet.client.settle(item.id, { decision: "happened", reason: "it is in the books" });
    expect(settled).toMatchObject({ id: item.id, kind: "outcome-unknown", decision: "happened", taskId: "a" });
    const view = await fleet.client.wait(id);
    expect(view).toMatchObject({
      status: "completed",
      result: { output: "done", attempt: 1, executedSteps: 1, replayedSteps: 2 },
    });
    expect(await linesOf(id)).toHaveLength(1);
    const events = await collect(fleet.client.events(id));
    expect(events.find(({ type }) => type === "item.settled")).toMatchObject({
      taskId: "a",
      data: { item: item.id, decision: "happened", reason: "it is in the books", by: expect.stringMatching(/^\w{8}$/) },
    });
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["workflow.waiting", "workflow.resumed"]));
  });

  test.concurrent(
    "that it did not happen, lets the task run it, at the same attempt and under the same key",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id, item } = await parked(oneInDoubt);
      await fleet.client.settle(item.id, { decision: "not-happened" });
      expect(await fleet.client.wait(id)).toMatchObject({
        status: "completed",
        result: { attempt: 1, replayedSteps: 1 },
      });
      // The person was wrong here, and it is them that the fleet believes.
      expect(new Set((await linesOf(id)).map(({ key }) => key))).toEqual(new Set([`${id}/a/1`]));
      expect(await linesOf(id)).toHaveLength(2);
    },
  );

  test.concurrent(
    "that the task fails, fails it for good, and what follows goes by its policy",
    { timeout: 60_000 },
    async ({ expect }) => {
      const tasks = [probe("a", inDoubt, { onFailure: "continue", retry: { attempts: 5, backoffMs: 1 } })];
      const { id, item } = await parked(planOf(together("p", tasks), together("q", [probe("b", { output: "after" })])));
      expect((await fleet.client.get(id)).tasks).toMatchObject([{}, { waitingFor: { reason: "dependency" } }]);
      await fleet.client.settle(item.id, { decision: "fail" });
      const view = await fleet.client.wait(id);
      expect(view).toMatchObject({ status: "completed", result: { output: "after" } });
      const error = { class: "unknown", code: "outcome-unknown" };
      expect(view.tasks).toMatchObject([{ status: "failed", attempt: 1, error }, { status: "completed" }]);
      expect(await linesOf(id)).toHaveLength(1);
    },
  );

  test.concurrent(
    "of many who settle one item at the same time one is first, and all others are told",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id, item } = await parked(oneInDoubt);
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, at) =>
          new Wire(fleet.ready).call(`POST /v1/inbox/${item.id}`, { body: { decision: "happened", reason: `${at}` } }),
        ),
      );
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...Array(7).fill(409)]);
      for (const { status, json } of answers)
        if (status === 409) expect(json).toMatchObject({ code: "already-settled" });
      await fleet.client.wait(id);
      const settled = (await collect(fleet.client.events(id))).filter(({ type }) => type === "item.settled");
      expect(settled).toHaveLength(1);
      expect((await fleet.client.inbox({ workflowId: id })).items).toEqual([]);
    },
  );

  test.concurrent(
    "a workflow that waits is cancelled at once, and its items are gone",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id, item } = await parked(oneInDoubt);
      await fleet.client.cancel(id, { reason: "no use" });
      const { value } = await fleet.client.settle(item.id, { decision: "happened" }).then(
        () => ({ value: undefined }),
        (value: unknown) => ({ value }),
      );
      expect(value).toBeInstanceOf(ProblemError);
      expect(value).toMatchObject({ status: 409, code: "already-settled" });
      expect(await fleet.client.wait(id)).toMatchObject({ status: "cancelled", tasks: [{ status: "cancelled" }] });
      expect((await fleet.client.inbox({ workflowId: id })).items).toEqual([]);
    },
  );

  test.concurrent(
    "what cannot be is refused: another decision, an edit or a result without its decision, another tenant's item",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id, item } = await parked(oneInDoubt);
      const wire = new Wire(fleet.ready);
      const settle = (body: unknown, name = item.id) => wire.call(`POST /v1/inbox/${name}`, { body });
      expect(await settle({ decision: "retry" })).toMatchObject({
        status: 400,
        json: { code: "invalid-body", errors: [{ path: "/decision" }] },
      });
      expect(await settle({ decision: "approve" })).toMatchObject({
        status: 400,
        json: { errors: [{ path: "/decision" }] },
      });
      expect(await settle({ decision: "fail", result: 1 })).toMatchObject({
        status: 400,
        json: { errors: [{ path: "/result" }] },
      });
      expect(await settle({ decision: "happened", edit: {} })).toMatchObject({
        status: 400,
        json: { errors: [{ path: "/edit" }] },
      });
      for (const name of [`${id}.1`, `${id}.99999`, `${id}.0`, `${id}.x`, id, "x"]) {
        expect(await settle({ decision: "happened" }, name), name).toMatchObject({ status: 404 });
      }
      expect((await fleet.client.inbox({ workflowId: id })).items).toEqual([item]);
      await fleet.client.settle(item.id, { decision: "happened", result: { receipt: 7 } });
      await fleet.client.wait(id);
    },
  );

  test.concurrent(
    "fail in place of the call of an unsafe step leaves no doubt: it is tried again",
    { timeout: 60_000 },
    async ({ expect }) => {
      const input = { steps: [{ tool: "unsafe" }], fail: [{ attempt: 1, class: "transient", step: 0 }] };
      const { view, events } = await run(
        fleet,
        planOf(together("p", [probe("a", input, { retry: { attempts: 2, backoffMs: 1 } })])),
      );
      expect(view).toMatchObject({ status: "completed", tasks: [{ attempt: 2 }] });
      expect(await linesOf(view.id)).toHaveLength(1);
      expect(events.map(({ type }) => type)).not.toContain("item.opened");
    },
  );
});
