import { describe, expect, test } from "vitest";
import { collect } from "../collect.ts";
import type { Fleet } from "../fleet.ts";
import { planOf, probe, probes, run, together } from "../plans.ts";
import { Wire } from "../wire.ts";

const workers = 10;

/** Cancelling what waits, what runs and what has ended. */
export function cancelsHold(fleet: () => Fleet): void {
  const wire = () => new Wire(fleet().ready);
  const cancel = (id: string, body?: unknown) => wire().call(`POST /v1/workflows/${id}/cancel`, { body });

  describe("cancel", () => {
    test("ends what is queued before it runs, and what runs within two seconds", async () => {
      const { client } = fleet();
      const { id: holder } = await client.submit(planOf(together("p", probes(workers, "t", { sleepMs: 60_000 }))));
      let started = 0;
      for await (const { type } of client.events(holder, { follow: true })) {
        if (type === "task.started" && ++started === workers) break;
      }
      const { id: queued } = await client.submit(planOf(together("p", [probe("a")])));
      for await (const { type } of client.events(queued, { follow: true })) if (/^tasks?\.scheduled$/.test(type)) break;
      expect((await client.get(queued)).tasks).toMatchObject([{ status: "queued", waitingFor: { reason: "worker" } }]);
      const asked = await cancel(queued, { reason: "not needed" });
      expect([asked.status, asked.json]).toMatchObject([202, { status: expect.any(String) }]);
      const early = await client.wait(queued);
      expect(early).toMatchObject({ status: "cancelled", tasks: [{ status: "cancelled" }] });
      const log = await collect(client.events(queued));
      expect(log.map(({ type }) => type)).not.toContain("task.started");
      expect(log).toContainEqual(expect.objectContaining({ type: "cancel.requested", data: { reason: "not needed" } }));

      const askedAt = performance.now();
      await cancel(holder);
      const running = await client.wait(holder);
      expect(running.status).toBe("cancelled");
      expect(new Set(running.tasks.map(({ status }) => status))).toEqual(new Set(["cancelled"]));
      // All hands were held: that one is free shows that a running task was stopped and not only written off.
      await run(fleet(), planOf(together("p", [probe("a")])));
      // A running step hears of it within two seconds; the rest is for a machine that is busy.
      expect(performance.now() - askedAt).toBeLessThan(8000);
    });

    test("is idempotent, and changes nothing on a workflow that has ended", async () => {
      const done = await run(fleet(), planOf(together("p", [probe("a")])));
      for (let time = 0; time < 2; time++) {
        const answer = await cancel(done.view.id, {});
        expect([answer.status, answer.json]).toMatchObject([202, { id: done.view.id, status: "completed" }]);
      }
      expect(await fleet().client.get(done.view.id)).toEqual(done.view);
      expect(await collect(fleet().client.events(done.view.id))).toEqual(done.events);

      const { id } = await fleet().client.submit(planOf(together("p", [probe("a", { sleepMs: 60_000 })])));
      const answers = await Promise.all(Array.from({ length: 5 }, () => cancel(id)));
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
      expect((await fleet().client.wait(id)).status).toBe("cancelled");
      const log = await collect(fleet().client.events(id));
      expect(log.filter(({ type }) => type === "workflow.cancelled")).toHaveLength(1);
      expect(log.filter(({ type }) => type === "cancel.requested")).toHaveLength(1);
    });
  });
}
