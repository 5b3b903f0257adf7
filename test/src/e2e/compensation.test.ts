import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { inTurn, planOf, probe, run } from "./plans.ts";

describeRealRedis("what was done is undone, through kills", () => {
  let fleet: Fleet;
  // One task a process, so that a probe that kills itself takes nobody with it.
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes(2), env: { AGENT_CONCURRENCY: "1" } });
  });
  afterAll(() => fleet.dispose());

  const names = ["a", "b", "c"];
  /** A task whose undoing has two effects that the test can see, named by what it undoes. */
  const undoable = (id: string, undo: object = {}) =>
    probe(
      id,
      { output: `made by ${id}` },
      {
        compensate: {
          agent: "probe",
          input: {
            steps: [0, 1].map((step) => ({ tool: "idempotent", key: `${id}-{{input.run}}-${step}`, sleepMs: 150 })),
            output: `{{tasks.${id}.output.output}}`,
            ...undo,
          },
        },
      },
    );
  const failing = inTurn("end", [probe("bad", { fail: [{ attempt: 1, class: "critical" }] })]);
  const request = (run: string, undo: object = {}) => ({
    ...planOf(
      inTurn(
        "work",
        names.map((id) => undoable(id, id === "b" ? undo : {})),
      ),
      failing,
    ),
    input: { run },
  });
  /** The effects of undoing that have happened, in order. */
  const undone = async (id: string) =>
    (await fleet.effects()).filter(({ workflowId, applied }) => workflowId === id && applied).map(({ key }) => key);
  const inOrder = (run: string) => names.toReversed().flatMap((id) => [`${id}-${run}-0`, `${id}-${run}-1`]);

  describe.concurrent("a worker that dies while it undoes", () => {
    test.for(["before", "during", "after"] as const)(
      "%s an effect is followed by one that goes on",
      async (at, { expect }) => {
        const { view, events } = await run(fleet, request(at, { crash: [{ claim: 1, step: 1, at }] }));
        expect(view).toMatchObject({ status: "aborted", compensation: "done", error: { taskId: "bad" } });
        expect(view.tasks.map(({ status }) => status)).toEqual(["compensated", "compensated", "compensated", "failed"]);
        expect(await undone(view.id)).toEqual(inOrder(at));
        expect(events.filter(({ type }) => type === "task.crashed")).toHaveLength(1);
      },
    );
  });

  test(
    "SIGKILL of supervisor, worker and API in the middle repeats nothing and loses nothing",
    { timeout: 120_000 },
    async () => {
      const { id } = await fleet.client.submit(request("killed"));
      for (const role of ["supervisor", "agent", "api", "supervisor"] as const) {
        const before = (await undone(id)).length;
        await until(async () => (await undone(id)).length > before || (await undone(id)).length === 6, {
          timeoutMs: 40_000,
          what: `more that is undone before the ${role} dies`,
        });
        await fleet.kill(role);
      }
      expect(await fleet.client.wait(id)).toMatchObject({ status: "aborted", compensation: "done" });
      expect(await undone(id)).toEqual(inOrder("killed"));
    },
  );

  test("a cancel that asks for it undoes, and each undoing runs once", async () => {
    const plan = planOf(
      inTurn(
        "work",
        names.map((id) => undoable(id)),
      ),
      inTurn("end", [probe("long", { sleepMs: 60_000 })]),
    );
    const { id } = await fleet.client.submit({ ...plan, input: { run: "cancel" } });
    await until(async () => (await fleet.client.get(id)).tasks[3]?.status === "running", { timeoutMs: 20_000 });
    await fleet.client.cancel(id, { compensate: true, reason: "changed my mind" });
    expect(await fleet.client.wait(id)).toMatchObject({
      status: "cancelled",
      compensation: "done",
      tasks: [{ status: "compensated" }, { status: "compensated" }, { status: "compensated" }, { status: "cancelled" }],
    });
    expect(await undone(id)).toEqual(inOrder("cancel"));
  });

  test("an undoing that fails for good waits in the inbox, and can be tried again", async () => {
    const stuck = probe(
      "a",
      { output: "made" },
      { compensate: { agent: "probe", input: { fail: [{ attempt: 1, class: "data" }] } } },
    );
    const { id } = await fleet.client.submit(planOf(inTurn("work", [stuck]), failing));
    const item = await until(async () => (await fleet.client.inbox({ workflowId: id })).items[0], {
      timeoutMs: 20_000,
    });
    expect(item).toMatchObject({ kind: "compensation-failed", taskId: "a", decisions: ["retry", "ignore"] });
    expect(await fleet.client.get(id)).toMatchObject({ compensation: "failed" });
    await fleet.client.settle(item.id, { decision: "retry" });
    expect(await fleet.client.wait(id)).toMatchObject({ status: "aborted", compensation: "done" });
  });
});
