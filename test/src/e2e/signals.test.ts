import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, together } from "./plans.ts";
import { Wire } from "./wire.ts";

describeRealRedis("signals", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes(1), env: { AGENT_CONCURRENCY: "1" } });
  }, 60_000);
  afterAll(() => fleet.dispose());

  const one = planOf(together("p", [probe("a", { awaitSignal: "go", steps: [{ tool: "unsafe" }] })]));
  const isWaiting = (id: string) =>
    until(async () => (await fleet.client.get(id)).status === "waiting", { timeoutMs: 40_000, what: "a wait" });

  test.concurrent(
    "a task waits for its signal without a worker, and goes on with its data",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id } = await fleet.client.submit(one);
      await isWaiting(id);
      expect((await fleet.client.get(id)).tasks).toMatchObject([
        { status: "waiting", attempt: 1, waitingFor: { reason: "signal" } },
      ]);
      // The only worker, which does one task at a time, is free.
      const { id: other } = await fleet.client.submit(planOf(together("p", [probe("b", { output: 1 })])));
      expect(await fleet.client.wait(other)).toMatchObject({ status: "completed" });
      await fleet.client.signal(id, { name: "stop" });
      await fleet.client.signal(id, { name: "go", data: { by: ["tide", 7] } });
      expect(await fleet.client.wait(id)).toMatchObject({
        status: "completed",
        result: { output: { by: ["tide", 7] }, attempt: 1, claim: 2, executedSteps: 1 },
      });
      expect((await fleet.effects()).filter(({ workflowId }) => workflowId === id)).toHaveLength(1);
    },
  );

  test.concurrent("a signal that came before the wait is not lost", { timeout: 60_000 }, async ({ expect }) => {
    const tasks = [
      probe("first", { approval: { summary: "" } }),
      probe("a", { awaitSignal: "go" }, { dependsOn: ["first"] }),
    ];
    const { id } = await fleet.client.submit(planOf(together("p", tasks)));
    await isWaiting(id);
    await fleet.client.signal(id, { name: "go", data: null });
    const [item] = (await fleet.client.inbox({ workflowId: id })).items;
    await fleet.client.settle(item?.id ?? "", { decision: "approve" });
    expect(await fleet.client.wait(id)).toMatchObject({
      status: "completed",
      tasks: [{}, { output: { output: null } }],
    });
  });

  test.concurrent(
    "the same key is one signal; after the end and with another body it is 409, and without a name 400",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id } = await fleet.client.submit(one);
      await isWaiting(id);
      const wire = new Wire(fleet.ready);
      const send = (body: unknown, key = "k") =>
        wire.call(`POST /v1/workflows/${id}/signals`, { body, headers: { "idempotency-key": key } });
      for (const body of [
        {},
        { name: "" },
        { name: "a#b" },
        { name: "go", data: "x".repeat(33_000) },
        { name: "x", of: 1 },
      ])
        expect(await send(body), JSON.stringify(body).slice(0, 60)).toMatchObject({ status: 400 });
      expect(await send({ name: "go", data: 1 })).toMatchObject({ status: 202, json: { id } });
      expect(await send({ name: "go", data: 1 })).toMatchObject({ status: 202 });
      expect(await send({ name: "go", data: 2 })).toMatchObject({
        status: 409,
        json: { code: "idempotency-conflict" },
      });
      expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", result: { output: 1 } });
      expect(await send({ name: "go" }, "late")).toMatchObject({ status: 409, json: { code: "already-settled" } });
      expect(await send({ name: "go", data: 1 })).toMatchObject({ status: 202 });
      const received = (await collect(fleet.client.events(id))).filter(({ type }) => type === "signal.received");
      expect(received).toMatchObject([{ data: { name: "go", data: 1, by: expect.stringMatching(/^\w{8}$/) } }]);
    },
  );

  test.concurrent("a workflow that waits for a signal can be cancelled", { timeout: 60_000 }, async ({ expect }) => {
    const { id } = await fleet.client.submit(one);
    await isWaiting(id);
    await fleet.client.cancel(id);
    expect(await fleet.client.wait(id)).toMatchObject({ status: "cancelled", tasks: [{ status: "cancelled" }] });
  });
});
