import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, run, together } from "./plans.ts";

describeRealRedis("handoffs", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes(1), env: { AGENT_CONCURRENCY: "1" } });
  }, 60_000);
  afterAll(() => fleet.dispose());

  const to = (payload: unknown) => ({ handoff: { to: "probe", payload } });
  /** So many handoffs in a row, and then the output. */
  const chain = (length: number): object => (length === 0 ? { output: "the end" } : to(chain(length - 1)));
  const alone = (input: object, rest = {}) => planOf(together("p", [probe("a", input, rest)]));

  test(
    "the other agent does it as a task of its own, and the one worker of both is never in its way",
    { timeout: 60_000 },
    async ({ expect }) => {
      const steps = [{ tool: "unsafe" }];
      const { view, events } = await run(fleet, alone({ steps, ...to({ steps, output: { text: "moored" } }) }));
      const [handoff] = view.handoffs;
      expect(view.status).toBe("completed");
      expect(view.handoffs).toMatchObject([{ from: "a", to: "probe", status: "completed", task: expect.any(String) }]);
      expect(view.tasks).toMatchObject([
        { id: "a", status: "completed", attempt: 1 },
        { id: handoff?.task, phase: "p", agent: "probe", status: "completed", output: { output: { text: "moored" } } },
      ]);
      expect(view.result).toMatchObject({ output: { output: { text: "moored" } }, claim: 2, replayedSteps: 1 });
      const applied = (await fleet.effects()).filter(({ workflowId }) => workflowId === view.id);
      expect(applied.map(({ taskId }) => taskId)).toEqual(["a", handoff?.task]);
      const types = events.map(({ type }) => type).filter((type) => type.startsWith("handoff."));
      expect(types).toEqual(["handoff.requested", "handoff.accepted", "handoff.completed"]);
    },
  );

  test(
    "five in a row are done, and the sixth is refused and rolled back to the first",
    { timeout: 60_000 },
    async ({ expect }) => {
      const five = await run(fleet, alone(chain(5)));
      expect(five.view.status).toBe("completed");
      expect(five.view.handoffs.map(({ status }) => status)).toEqual(Array(5).fill("completed"));
      expect(JSON.stringify(five.view.result)).toContain("the end");
      const six = await run(fleet, alone(chain(6)));
      expect(six.view).toMatchObject({
        status: "failed",
        error: { class: "data", code: "handoff-too-deep", taskId: "a" },
      });
      expect(six.view.handoffs.map(({ status }) => status)).toEqual(Array(6).fill("rolled_back"));
    },
  );

  test.for([
    ["to an agent that nobody knows", { handoff: { to: "nobody", payload: {} } }, "handoff-unknown-agent"],
    ["of what the other agent does not take", to({ sleepMs: "long" }), "handoff-invalid-payload"],
    ["of too much", to({ output: "x".repeat(70_000) }), "handoff-too-large"],
  ] as const)(
    "%s is refused, and the task that wanted it fails by its policy",
    { timeout: 60_000 },
    async ([, input, code], { expect }) => {
      const { view } = await run(fleet, alone(input, { onFailure: "continue" }));
      expect(view).toMatchObject({
        status: "completed",
        tasks: [{ status: "failed", error: { class: "data", code } }],
      });
      for (const handoff of view.handoffs) expect(handoff).toMatchObject({ status: "rolled_back", error: { code } });
    },
  );

  test("what fails for good there fails here with its reason", { timeout: 60_000 }, async ({ expect }) => {
    const { view } = await run(fleet, alone(to({ fail: [{ attempt: 1, class: "data", message: "no such berth" }] })));
    const error = { class: "data", message: expect.stringContaining("no such berth") };
    expect(view).toMatchObject({ status: "failed", error, handoffs: [{ status: "rolled_back", error }] });
  });

  test(
    "what fails for a moment there is tried again there, and spends no attempt here",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { view } = await run(fleet, alone(to({ fail: [{ attempt: 1, class: "transient" }], output: 1 })));
      expect(view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }, { attempt: 2 }] });
    },
  );

  test(
    "meanwhile the one that handed over waits without a worker, and a cancel ends both",
    { timeout: 60_000 },
    async ({ expect }) => {
      const { id } = await fleet.client.submit(alone(to({ awaitSignal: "go" })));
      await until(async () => (await fleet.client.get(id)).status === "waiting", { timeoutMs: 40_000, what: "a wait" });
      expect((await fleet.client.get(id)).tasks).toMatchObject([
        { status: "waiting", waitingFor: { reason: "handoff" } },
        { status: "waiting", waitingFor: { reason: "signal" } },
      ]);
      await fleet.client.cancel(id);
      const view = await fleet.client.wait(id);
      expect(view.tasks.map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
      expect((await collect(fleet.client.events(id))).at(-1)?.type).toBe("workflow.cancelled");
    },
  );
});
