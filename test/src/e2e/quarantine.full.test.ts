import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { crashes, quarantined } from "./quarantine.ts";
import { planOf, probe, run, together } from "./plans.ts";

describeRealRedis("a task that has a process to itself", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes() });
  }, 60_000);
  afterAll(() => fleet.dispose());

  test(
    "that blocks its event loop again and again is quarantined too, and is poison once it is given up",
    { timeout: 120_000 },
    async () => {
      const { id } = await fleet.client.submit(planOf(together("p", [probe("busy", { busyMs: 20_000 })])));
      const item = await quarantined(fleet, id);
      expect(item.detail).toMatchObject({ deaths: 3, reason: "exit code 70" });
      await fleet.client.settle(item.id, { decision: "fail", reason: "hopeless" });
      const view = await fleet.client.wait(id);
      const error = { class: "poison", code: "worker-died", message: expect.stringContaining("hopeless") };
      expect(view).toMatchObject({
        status: "failed",
        error: { ...error, taskId: "busy" },
        tasks: [{ attempt: 1, error }],
      });
      const types = (await collect(fleet.client.events(id))).map(({ type }) => type);
      expect(types).toEqual(expect.arrayContaining(["task.quarantined", "item.opened", "item.settled"]));
      expect((await run(fleet, planOf(together("p", [probe("a")])))).view.status).toBe("completed");
    },
  );

  test("is cancelled in the process that it has to itself, and times out there", { timeout: 120_000 }, async () => {
    const long = probe("long", { crash: crashes(2), sleepMs: 60_000 });
    const slow = probe(
      "slow",
      { crash: crashes(2), sleepMs: 60_000 },
      { timeoutMs: 2000, retry: { attempts: 1, backoffMs: 1 } },
    );
    const [{ id }, second] = await Promise.all([
      fleet.client.submit(planOf(together("p", [long]))),
      fleet.client.submit(planOf(together("p", [slow]))),
    ]);
    const alone = (name: string) =>
      until(
        async () =>
          (await collect(fleet.client.events(name))).filter(({ type }) => type === "task.crashed").length === 2,
        { timeoutMs: 60_000, what: "two deaths" },
      );
    await alone(id);
    await until(async () => (await fleet.client.get(id)).tasks[0]?.status === "running", { timeoutMs: 20_000 });
    await fleet.client.cancel(id);
    expect(await fleet.client.wait(id)).toMatchObject({ status: "cancelled" });
    expect(await fleet.client.wait(second.id)).toMatchObject({ status: "failed", error: { code: "timeout" } });
    // Both are told to end, and end as they are told: that is no death.
    expect((await fleet.client.inbox({ kind: "quarantine" })).items).toEqual([]);
  });
});
