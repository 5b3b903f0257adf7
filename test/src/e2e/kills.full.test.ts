import { describeRealRedis, until } from "@flotilla/testkit";
import { afterEach, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, run, together } from "./plans.ts";
import { effectsOf, eventsOf, expectDoneOnce, submitWork } from "./work.ts";

describeRealRedis("kills of a fleet whose workers have ten tasks each", () => {
  let fleet: Fleet;
  afterEach(() => fleet.dispose());

  test("everything at once, and then each again, while 60 workflows run", async () => {
    fleet = await Fleet.start({ args: onlyProbes() });
    const ids = await submitWork(fleet, 60);
    await until(async () => (await effectsOf(fleet, ids)) > 60, { timeoutMs: 30_000 });
    // A worker dies twice, and no more: the third death of a task is poison.
    await Promise.all((["agent", "supervisor", "api", "redis"] as const).map((role) => fleet.kill(role)));
    for (const role of ["redis", "supervisor", "agent", "api", "supervisor", "redis"] as const) {
      const before = await effectsOf(fleet, ids);
      await until(async () => (await effectsOf(fleet, ids)) > before + 40, {
        timeoutMs: 30_000,
        what: `work before ${role}`,
      });
      await fleet.kill(role);
    }
    await expectDoneOnce(fleet, ids);
  });

  test("three under one task fail it as poison, and the fleet goes on", async () => {
    fleet = await Fleet.start({ args: onlyProbes() });
    const crash = [1, 2, 3, 4].map((claim) => ({ claim }));
    const { view, events } = await run(fleet, planOf(together("p", [probe("a", { crash })])));
    expect(view).toMatchObject({ status: "failed", error: { class: "poison", taskId: "a" }, tasks: [{ attempt: 1 }] });
    const deaths = events.filter(({ type }) => type === "task.crashed").map(({ data }) => data);
    expect(deaths).toMatchObject([{ deaths: 1 }, { deaths: 2 }, { deaths: 3 }]);
    expect((await run(fleet, planOf(together("p", [probe("a")])))).view.status).toBe("completed");
  });

  test("a worker that is stopped for longer than its lease is overtaken, and repeats nothing when it wakes", async () => {
    fleet = await Fleet.start({ args: onlyProbes(2) });
    const ids = await submitWork(fleet, 30);
    await until(async () => (await effectsOf(fleet, ids)) > 30, { timeoutMs: 30_000 });
    const [stopped] = fleet.pids("agent");
    if (stopped === undefined) throw new Error("no worker to stop");
    process.kill(stopped, "SIGSTOP");
    try {
      // It may stand inside the lock of the effects, and then nothing else happens to the world until it goes on.
      await until(async () => (await eventsOf(fleet, ids)).some(({ type }) => type === "task.crashed"), {
        timeoutMs: 30_000,
        what: "a lease that runs out",
      });
    } finally {
      process.kill(stopped, "SIGCONT");
    }
    await expectDoneOnce(fleet, ids);
    // The second batch keeps it busy while what it held before comes to its end.
    await expectDoneOnce(fleet, await submitWork(fleet, 30));
    await expectDoneOnce(fleet, ids);
  });
});
