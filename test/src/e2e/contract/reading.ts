import { EventView, SubmitView, WorkflowSummary, WorkflowView } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { collect } from "../collect.ts";
import type { Fleet } from "../fleet.ts";
import { inTurn, planOf, probe, probes, run, together } from "../plans.ts";
import { Wire } from "../wire.ts";

const List = z.strictObject({ workflows: z.array(WorkflowSummary), cursor: z.string().exactOptional() });
const Page = z.strictObject({ events: z.array(EventView), next: z.union([z.int(), z.string()]).exactOptional() });

/** Parses, and refuses fields that the shape does not have. */
function exactly<T>(shape: z.ZodType<T>, value: unknown): T {
  const parsed = shape.parse(value);
  expect(value).toEqual(parsed);
  return parsed;
}

/** Views, lists, pages of events and streams. */
export function whatHappenedIsRead(fleet: () => Fleet): void {
  const wire = () => new Wire(fleet().ready);

  describe("shapes", () => {
    test("submit answers 202 with the place of the workflow, which has exactly the fields that are promised", async () => {
      const body = {
        ...planOf(inTurn("p", [probe("a", { output: 1 }), probe("b")])),
        priority: "high",
        tags: { team: "one", "kind.of": "e2e/1" },
      };
      const answer = await wire().call("POST /v1/workflows", { body });
      expect(answer.status).toBe(202);
      const { id, links } = exactly(SubmitView, answer.json);
      expect(id).toMatch(/^wf_[0-9a-z]{2}_[0-9a-z]{26}$/);
      expect(answer.headers.get("location")).toBe(links.self);
      await fleet().client.wait(id);

      const read = await wire().call(`GET ${links.self}`);
      expect([read.status, read.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
      const view = exactly(WorkflowView, read.json);
      expect(view).toMatchObject({ id, status: "completed", input: body.input, priority: "high", tags: body.tags });
      expect(view).toMatchObject({
        handoffs: [],
        compensation: "none",
        cost: { usd: 0, tokens: { input: 0, output: 0 } },
      });
      expect(view.plan?.phases).toMatchObject(body.plan?.phases ?? []);
      expect(view.tasks).toMatchObject([
        {
          id: "a",
          phase: "p",
          agent: "probe",
          status: "completed",
          attempt: 1,
          dependsOn: [],
          outputBytes: expect.any(Number),
        },
        { id: "b", status: "completed", startedAt: expect.any(String), endedAt: expect.any(String) },
      ]);
      expect(view.tasks.some((task) => task.waitingFor)).toBe(false);
      expect(exactly(Page, (await wire().call(`GET ${links.events}`)).json).events.at(-1)?.type).toBe(
        "workflow.completed",
      );
    });
  });

  describe("list", () => {
    test("is newest first, in pages without gap or double, by status and by tag", async () => {
      const batch = crypto.randomUUID();
      const request = (input: { fail?: { attempt: number; class: string }[] }) => ({
        agent: "probe",
        input,
        tags: { batch },
      });
      const ids: string[] = [];
      for (let n = 0; n < 7; n++) {
        ids.push((await fleet().client.submit(request(n === 3 ? { fail: [{ attempt: 1, class: "data" }] } : {}))).id);
      }
      await Promise.all(ids.map((id) => fleet().client.wait(id)));

      const listed: z.infer<typeof WorkflowSummary>[] = [];
      let cursor = "";
      do {
        const answer = await wire().call(`GET /v1/workflows?tag=batch:${batch}&limit=3${cursor}`);
        const page = exactly(List, answer.json);
        expect(page.workflows.length).toBeLessThanOrEqual(3);
        listed.push(...page.workflows);
        cursor = page.cursor === undefined ? "" : `&cursor=${encodeURIComponent(page.cursor)}`;
      } while (cursor !== "");
      expect(listed.map(({ id }) => id)).toEqual(ids.toReversed());
      expect(listed.map(({ createdAt }) => createdAt)).toEqual(
        listed
          .map(({ createdAt }) => createdAt)
          .toSorted()
          .toReversed(),
      );

      const failed = await wire().call(`GET /v1/workflows?status=failed&tag=batch:${batch}`);
      expect(exactly(List, failed.json).workflows.map(({ id }) => id)).toEqual([ids[3]]);
      const completed = await wire().call("GET /v1/workflows?status=completed&limit=6");
      expect(exactly(List, completed.json).workflows.map(({ id }) => id)).toEqual(
        ids.filter((_, n) => n !== 3).toReversed(),
      );
      const none = await wire().call("GET /v1/workflows?tag=batch:nobody");
      expect(exactly(List, none.json)).toEqual({ workflows: [] });
    });
  });

  describe("events", () => {
    test("come in pages from 1 without gaps", async () => {
      const { view, events } = await run(fleet(), planOf(together("p", probes(20, "t"))));
      const seen: EventView[] = [];
      let after: string | number | undefined = 0;
      while (after !== undefined) {
        const answer = await wire().call(`GET /v1/workflows/${view.id}/events?after=${after}&limit=7`);
        const page: z.infer<typeof Page> = exactly(Page, answer.json);
        expect(page.events.length).toBeLessThanOrEqual(7);
        seen.push(...page.events);
        after = page.next;
      }
      expect(seen).toEqual(events);
      expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, at) => at + 1));
      expect(seen[0]).toMatchObject({ type: "workflow.submitted", at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) });
      expect(seen.at(-1)).toMatchObject({ type: "workflow.completed" });
    });

    test("a stream that is dropped 50 times and resumed loses and doubles nothing", async () => {
      const request = planOf(inTurn("p", probes(60, "t", { sleepMs: 10 })));
      const { id } = await fleet().client.submit(request);
      const seen: EventView[] = [];
      let ends = 0;
      let drops = 0;
      while (ends === 0) {
        let left = 3;
        for await (const message of wire().stream(id, seen.at(-1)?.seq ?? 0)) {
          if (message === "end") ends++;
          else {
            seen.push(message);
            if (--left === 0) break;
          }
        }
        drops++;
      }
      expect(drops).toBeGreaterThanOrEqual(50);
      expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, at) => at + 1));
      expect(seen).toEqual(await collect(fleet().client.events(id)));
      expect(await collect(wire().stream(id, seen.length))).toEqual(["end"]);
      expect(await collect(wire().stream(id, seen.length - 1))).toMatchObject([{ seq: seen.length }, "end"]);
      expect(await collect(wire().stream(id))).toEqual([...seen, "end"]);
    });

    test("a stream shows each event as it happens to every reader", async () => {
      const { id } = await fleet().client.submit(planOf(inTurn("p", probes(3, "t", { sleepMs: 300 }))));
      const whole = await Promise.all(Array.from({ length: 20 }, () => collect(wire().stream(id))));
      for (const stream of whole) expect(stream).toEqual(whole[0]);
      expect(whole[0]?.at(-1)).toBe("end");
      let sawRunning = false;
      const { id: next } = await fleet().client.submit(planOf(together("p", [probe("a", { sleepMs: 2000 })])));
      for await (const message of wire().stream(next)) {
        if (message === "end" || message.type !== "task.started") continue;
        sawRunning = (await fleet().client.get(next)).status === "running";
      }
      expect(sawRunning).toBe(true);
    });
  });
}
