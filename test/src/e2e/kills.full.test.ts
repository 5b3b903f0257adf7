import { describeRealRedis, until } from "@flotilla/testkit";
import { afterEach, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { effectsOf, eventsOf, expectDoneOnce, submitWork } from "./work.ts";

describeRealRedis("kills of a fleet whose workers have ten tasks each", () => {
  let fleet: Fleet;
  afterEach(() => fleet.dispose());

  test("everything at once, and then each again, while 60 workflows run", async () => {
    fleet = await Fleet.start({ args: onlyProbes() });
    const ids = await submitWork(fleet, 60);
    await until(async () => (await effectsOf(fleet, ids)) > 60, { timeoutMs: 30_000 });
    await Promise.all((["agent", "supervisor", "api", "redis"] as const).map((role) => fleet.kill(role)));
    for (const role of ["redis", "supervisor", "agent", "api", "agent", "supervisor", "agent", "redis"] as const) {
      const before = await effectsOf(fleet, ids);
      await until(async () => (await effectsOf(fleet, ids)) > before + 40, {
        timeoutMs: 30_000,
        what: `work before ${role}`,
      });
      await fleet.kill(role);
    }
    await expectDoneOnce(fleet, ids);
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
