import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { crashes, quarantined } from "./quarantine.ts";
import { planOf, probe, probes, together } from "./plans.ts";
import { idempotentSteps } from "./work.ts";

describeRealRedis("a task under which workers die", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes() });
  }, 60_000);
  afterAll(() => fleet.dispose());

  test(
    "is alone in the end, dies there, and harms none of its nine neighbours more than twice",
    { timeout: 120_000 },
    async () => {
      const bomb = probe("bomb", { crash: crashes(3), output: "defused" });
      const neighbours = probes(9, "n", { steps: idempotentSteps(3, 700), output: "fine" });
      const { id } = await fleet.client.submit(planOf(together("p", [bomb, ...neighbours])));
      const item = await quarantined(fleet, id);
      expect(item).toMatchObject({
        taskId: "bomb",
        decisions: ["retry", "fail"],
        detail: { deaths: 3, reason: "SIGKILL", attempt: 1 },
      });
      // One worker process in all: it has died twice, and not a third time.
      await until(async () => (await fleet.client.get(id)).status === "waiting", { timeoutMs: 40_000 });
      expect(fleet.changes.filter(({ event, role }) => event === "exit" && role === "agent")).toHaveLength(2);
      const started = (await collect(fleet.client.events(id))).filter(({ type }) => type === "task.started");
      for (const { id: name } of neighbours) {
        expect(started.filter(({ taskId }) => taskId === name).length, name).toBeLessThanOrEqual(3);
      }
      const applied = (await fleet.effects()).filter((effect) => effect.applied && effect.workflowId === id);
      expect(applied).toHaveLength(27);
      expect(new Set(applied.map(({ key }) => key)).size).toBe(27);
      expect((await fleet.client.get(id)).tasks.filter(({ status }) => status === "completed")).toHaveLength(9);

      await fleet.client.settle(item.id, { decision: "retry" });
      const view = await fleet.client.wait(id);
      expect(view).toMatchObject({
        status: "completed",
        tasks: [{ status: "completed", attempt: 2 }, ...neighbours.map(() => ({ attempt: 1 }))],
      });
      const [worker] = fleet.pids("agent");
      expect(view.result).toMatchObject({ bomb: { output: "defused", attempt: 2, claim: 1, pid: expect.any(Number) } });
      expect(view.result).not.toMatchObject({ bomb: { pid: worker } });
      expect(fleet.changes.filter(({ event, role }) => event === "exit" && role === "agent")).toHaveLength(2);
    },
  );
});
