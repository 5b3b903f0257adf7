import { SubmitView } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { collect } from "../collect.ts";
import type { Fleet } from "../fleet.ts";
import { inTurn, planOf, probe, run, seqOf, together } from "../plans.ts";
import { Wire } from "../wire.ts";
import { idempotentSteps } from "../work.ts";

/** Retry and fork: going on from what was done. */
export function historyGoesOn(fleet: () => Fleet): void {
  const wire = () => new Wire(fleet().ready);
  const fail = (kind: string, step?: number) => [{ attempt: 1, class: kind, ...(step !== undefined && { step }) }];

  describe("retry", () => {
    test("goes on from the failed task: finished tasks and finished steps are not run again", async () => {
      const first = await run(
        fleet(),
        planOf(
          inTurn("p", [
            probe("a", { steps: idempotentSteps(2, 1), output: "kept" }),
            probe("b", { steps: idempotentSteps(3, 1), fail: fail("data", 2), output: "{{tasks.a.output.output}}" }),
          ]),
          together("q", [probe("c", { output: "{{tasks.b.output.output}}!" })]),
        ),
      );
      const { id } = first.view;
      expect(first.view).toMatchObject({ status: "failed", error: { taskId: "b" } });
      const answer = await wire().call(`POST /v1/workflows/${id}/retry`);
      expect([answer.status, SubmitView.parse(answer.json)]).toMatchObject([202, { id, status: "running" }]);
      const view = await fleet().client.wait(id);
      expect(view).toMatchObject({ status: "completed", result: { output: "kept!" } });
      expect(view.tasks.map(({ attempt }) => attempt)).toEqual([1, 2, 1]);
      expect(view.tasks[1]).toMatchObject({ output: { executedSteps: 1, replayedSteps: 2 } });
      const events = await collect(fleet().client.events(id));
      expect(events.slice(0, first.events.length)).toEqual(first.events);
      expect(events[first.events.length]).toMatchObject({ type: "retry.requested", seq: first.events.length + 1 });
      expect(events.filter(({ type }) => type === "workflow.completed")).toHaveLength(1);
      const own = (await fleet().effects()).filter(({ workflowId }) => workflowId === id);
      expect(own.map(({ key, applied }) => [key, applied])).toEqual(
        ["a/0", "a/1", "b/0", "b/1", "b/2"].map((step) => [`${id}/${step}`, true]),
      );
      // The stream that had ended goes on where it was.
      const rest = await collect(wire().stream(id, first.events.length));
      expect(rest).toEqual([...events.slice(first.events.length), "end"]);
    });

    test("opens an aborted workflow too, and what the abort had cut off", async () => {
      const { view } = await run(
        fleet(),
        planOf(together("p", [probe("a", { fail: fail("critical") }), probe("b", { sleepMs: 1500 })])),
      );
      expect(view).toMatchObject({ status: "aborted", tasks: [{ status: "failed" }, { status: "cancelled" }] });
      expect((await fleet().client.retry(view.id)).status).toBe("running");
      const after = await fleet().client.wait(view.id);
      expect(after).toMatchObject({ status: "completed", tasks: [{ attempt: 2 }, { status: "completed" }] });
      expect(after).not.toHaveProperty("error");
    });

    test("is 409 not-retryable for what is running, completed or cancelled, and changes nothing there", async () => {
      const { client } = fleet();
      const done = await run(fleet(), planOf(together("p", [probe("a")])));
      const { id: running } = await client.submit(planOf(together("p", [probe("a", { sleepMs: 60_000 })])));
      const refused = async (id: string) => {
        const { status, json } = await wire().call(`POST /v1/workflows/${id}/retry`, { body: {} });
        expect([status, json]).toMatchObject([409, { code: "not-retryable" }]);
      };
      await refused(done.view.id);
      await refused(running);
      await client.cancel(running);
      await client.wait(running);
      await refused(running);
      expect(await collect(client.events(done.view.id))).toEqual(done.events);
    });

    test("asked for at once by many, it happens once", async () => {
      const { client } = fleet();
      const { view } = await run(fleet(), planOf(together("p", [probe("a", { fail: fail("data") })])));
      const many = Array.from({ length: 10 }, () => wire().call(`POST /v1/workflows/${view.id}/retry`));
      const answers = (await Promise.all(many)).map(({ status }) => status);
      expect(answers.toSorted((a, b) => a - b)).toEqual([202, ...Array(9).fill(409)]);
      expect(await client.wait(view.id)).toMatchObject({ status: "completed", tasks: [{ attempt: 2 }] });
      const log = await collect(client.events(view.id));
      expect(log.filter(({ type }) => type === "retry.requested")).toHaveLength(1);
    });
  });

  describe("fork", () => {
    test("shares what was done and does the rest with another input", async () => {
      const source = await run(fleet(), {
        ...planOf(
          inTurn("p", [
            probe("a", { steps: idempotentSteps(1, 1), output: { list: [1, 2] } }),
            probe("b", { steps: idempotentSteps(1, 1), output: "{{tasks.a.output.output.list}} {{input}}" }),
          ]),
        ),
        input: "one",
        tags: { of: "fork" },
      });
      const fromSeq = seqOf(source, "task.completed", "a");
      const body = { fromSeq, input: "two" };
      const headers = { "idempotency-key": crypto.randomUUID() };
      const answer = await wire().call(`POST /v1/workflows/${source.view.id}/fork`, { body, headers });
      const { id, links } = SubmitView.parse(answer.json);
      expect([answer.status, answer.headers.get("location")]).toEqual([202, links.self]);
      expect(id).not.toBe(source.view.id);
      const view = await fleet().client.wait(id);
      expect(view).toMatchObject({ status: "completed", input: "two", tags: { of: "fork" } });
      expect(view).toMatchObject({ result: { a: { output: { list: [1, 2] } }, b: { output: "[1,2] two" } } });
      const events = await collect(fleet().client.events(id));
      expect(events[0]).toMatchObject({ data: { forkedFrom: { id: source.view.id, seq: fromSeq } } });
      expect(events.slice(1, fromSeq)).toEqual(source.events.slice(1, fromSeq));
      const own = (await fleet().effects()).filter(({ workflowId }) => workflowId === id);
      expect(own).toMatchObject([{ key: `${id}/b/0`, applied: true }]);
      const again = await wire().call(`POST /v1/workflows/${source.view.id}/fork`, { body, headers });
      expect([again.status, again.json]).toMatchObject([202, { id, status: "completed" }]);
      const other = await wire().call(`POST /v1/workflows/${source.view.id}/fork`, { body: { fromSeq }, headers });
      expect([other.status, other.json]).toMatchObject([409, { code: "idempotency-conflict" }]);
      expect(await fleet().client.get(source.view.id)).toEqual(source.view);
    });

    test("of a workflow that failed does the failed task anew, and of a running one what is not finished", async () => {
      const { client } = fleet();
      const failed = await run(
        fleet(),
        planOf(inTurn("p", [probe("a", { output: "kept" }), probe("b", { fail: fail("data") })])),
      );
      const { id } = await client.fork(failed.view.id, { fromSeq: failed.events.length - 1 });
      expect(await client.wait(id)).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }, { attempt: 2 }] });
      expect((await client.get(failed.view.id)).status).toBe("failed");

      const { id: running } = await client.submit(planOf(together("p", [probe("a", { sleepMs: 1500, output: 1 })])));
      let fromSeq = 0;
      for await (const { seq, type } of client.events(running, { follow: true })) {
        fromSeq = seq;
        if (type === "task.started") break;
      }
      const fork = await client.fork(running, { fromSeq });
      const views = await Promise.all([client.wait(running), client.wait(fork.id)]);
      expect(views).toMatchObject([{ status: "completed" }, { status: "completed", result: { output: 1, claim: 2 } }]);
    });

    test("is 400 from the end on, and says how far it may go", async () => {
      const { view, events } = await run(fleet(), planOf(together("p", [probe("a")])));
      for (const fromSeq of [events.length, events.length + 1]) {
        const answer = await wire().call(`POST /v1/workflows/${view.id}/fork`, { body: { fromSeq } });
        const message = expect.stringContaining(`largest allowed is ${events.length - 1}`);
        expect([answer.status, answer.json]).toMatchObject([
          400,
          { code: "invalid-body", errors: [{ path: "/fromSeq", message }] },
        ]);
      }
    });
  });
}
