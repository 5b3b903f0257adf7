import type { EventView } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import type { Fleet } from "../fleet.ts";
import { inTurn, planOf, probe, probes, run, type Run, together } from "../plans.ts";

const soon = { attempts: 3, backoffMs: 10 };

/** Times of the events of that type, in ms. */
function timesOf({ events }: Run, type: EventView["type"]): number[] {
  return events.filter((event) => event.type === type).map(({ at }) => Date.parse(at));
}

/** The waits before another try, in ms: from the failure to the earliest start, and no more than the rule gave it. */
function waitsOf(run: Run): { least: number; most: number; startedAfter: number }[] {
  const failed = timesOf(run, "task.failed");
  const [, ...starts] = timesOf(run, "task.started");
  return run.events
    .filter(({ type }) => type === "task.retrying")
    .map(({ at, data }, index) => {
      const notBefore = Number(Object(data).notBefore);
      // It was reckoned after the failure and before it was written down.
      return {
        least: notBefore - (failed[index] ?? 0),
        most: notBefore - Date.parse(at),
        startedAfter: (starts[index] ?? 0) - notBefore,
      };
    });
}

/** What is tried again, what is not, and what comes after. */
export function failuresAreJudged(fleet: () => Fleet): void {
  describe.concurrent("failures", () => {
    test.for(["transient", "rate-limit", "unknown"])(
      "%s is tried again, three times in all",
      async (kind, { expect }) => {
        const fail = [1, 2, 3].map((attempt) => ({ attempt, class: kind, message: `no ${attempt}` }));
        const done = await run(
          fleet(),
          planOf(inTurn("p", [probe("a", { fail }, { retry: { attempts: 3, backoffMs: 1 } }), probe("b")])),
        );
        expect(done.view).toMatchObject({ status: "failed", error: { class: kind, taskId: "a", message: "no 3" } });
        expect(done.view.tasks).toMatchObject([
          { status: "failed", attempt: 3, error: { class: kind, message: "no 3" } },
          { status: "cancelled" },
        ]);
        expect(timesOf(done, "task.retrying")).toHaveLength(2);
      },
    );

    test("without a word about it there are three attempts, the first wait being a second or two", async ({
      expect,
    }) => {
      const fail = [1, 2].map((attempt) => ({ attempt, class: "transient" }));
      const done = await run(fleet(), planOf(together("p", [probe("a", { fail })])));
      expect(done.view).toMatchObject({ status: "completed", tasks: [{ attempt: 3 }] });
      const [first] = waitsOf(done);
      expect(first?.least).toBeGreaterThanOrEqual(1000);
      expect(first?.most).toBeLessThanOrEqual(2000);
      expect(first?.startedAfter).toBeGreaterThanOrEqual(0);
    });

    test("each wait is twice the one before, and up to backoffMs longer", async ({ expect }) => {
      const fail = [1, 2, 3].map((attempt) => ({ attempt, class: "transient" }));
      const retry = { attempts: 4, backoffMs: 300 };
      const done = await run(fleet(), planOf(together("p", [probe("a", { fail }, { retry })])));
      expect(done.view).toMatchObject({ status: "completed", tasks: [{ attempt: 4 }], result: { attempt: 4 } });
      const waits = waitsOf(done);
      expect(waits).toHaveLength(3);
      waits.forEach(({ least, most, startedAfter }, at) => {
        expect(least).toBeGreaterThanOrEqual(300 * 2 ** at);
        expect(most).toBeLessThanOrEqual(300 * 2 ** at + 300);
        expect(startedAfter).toBeGreaterThanOrEqual(0);
      });
    });

    test("a task that waits for its next try says until when", async ({ expect }) => {
      const { client } = fleet();
      const input = { fail: [{ attempt: 1, class: "transient" }] };
      const { id } = await client.submit(
        planOf(together("p", [probe("a", input, { retry: { attempts: 2, backoffMs: 30_000 } })])),
      );
      for await (const { type } of client.events(id, { follow: true })) if (type === "task.retrying") break;
      const [task] = (await client.get(id)).tasks;
      expect(task).toMatchObject({
        status: "pending",
        waitingFor: { reason: "retry-backoff", until: expect.any(String) },
      });
      await client.cancel(id);
    });

    test("data is not tried again", async ({ expect }) => {
      const done = await run(fleet(), planOf(together("p", [probe("a", { fail: [{ attempt: 1, class: "data" }] })])));
      expect(done.view).toMatchObject({ status: "failed", error: { class: "data" }, tasks: [{ attempt: 1 }] });
      expect(done.view.result).toBeUndefined();
    });

    test("critical is not tried again and aborts the workflow, whatever its policy", async ({ expect }) => {
      const fail = [{ attempt: 1, class: "critical", message: "stop all" }];
      const tasks = [probe("a", { fail }, { retry: soon, onFailure: "continue" }), probe("b", { sleepMs: 20_000 })];
      const done = await run(fleet(), planOf(together("p", tasks)));
      expect(done.view).toMatchObject({
        status: "aborted",
        error: { class: "critical", taskId: "a", message: "stop all" },
      });
      expect(done.view.tasks).toMatchObject([{ status: "failed", attempt: 1 }, { status: "cancelled" }]);
    });

    test("under fail, what is open is cancelled, also what runs", async ({ expect }) => {
      const fail = [{ attempt: 1, class: "data" }];
      const tasks = [probe("a", { sleepMs: 100, fail }), probe("b", { sleepMs: 20_000 })];
      const done = await run(fleet(), planOf(together("p", tasks), together("q", probes(2, "c"))));
      expect(done.view.status).toBe("failed");
      expect(done.view.tasks.map(({ status }) => status)).toEqual(["failed", "cancelled", "cancelled", "cancelled"]);
    });

    test("under continue, the rest goes on and the workflow completes", async ({ expect }) => {
      const fail = [{ attempt: 1, class: "data" }];
      const done = await run(
        fleet(),
        planOf(together("p", [probe("a", { fail }, { onFailure: "continue" }), probe("b", { output: "fine" })])),
      );
      expect(done.view).toMatchObject({ status: "completed", result: { a: null, b: { output: "fine" } } });
      expect(done.view.tasks).toMatchObject([{ status: "failed", error: { class: "data" } }, { status: "completed" }]);
    });

    test("a time-out is transient, counts from the claim, and is tried again", async ({ expect }) => {
      const task = probe("a", { sleepMs: 30_000 }, { timeoutMs: 300, retry: { attempts: 2, backoffMs: 1 } });
      const done = await run(fleet(), planOf(together("p", [task])));
      const error = { class: "transient", code: "timeout" };
      expect(done.view).toMatchObject({ status: "failed", error, tasks: [{ status: "failed", attempt: 2, error }] });
      const starts = timesOf(done, "task.started");
      const outs = timesOf(done, "task.timed_out");
      expect([starts, outs]).toMatchObject([{ length: 2 }, { length: 2 }]);
      outs.forEach((out, at) => {
        expect(out - (starts[at] ?? 0)).toBeGreaterThanOrEqual(300);
        // Half a minute would be its end by itself; a supervisor that was held up judges nobody for a lease of 6 s.
        expect(out - (starts[at] ?? 0)).toBeLessThan(15_000);
      });
    });

    test("steps that have run are not run again by the next attempt", async ({ expect }) => {
      const steps = [{ tool: "pure" }, { tool: "idempotent" }, { tool: "pure" }];
      const input = { steps, fail: [{ attempt: 1, class: "transient", step: 2 }], output: "done" };
      const done = await run(fleet(), planOf(together("p", [probe("a", input, { retry: soon })])));
      expect(done.view.result).toMatchObject({
        output: "done",
        attempt: 2,
        claim: 1,
        executedSteps: 1,
        replayedSteps: 2,
      });
      const own = (await fleet().effects()).filter(({ workflowId }) => workflowId === done.view.id);
      expect(own).toMatchObject([{ taskId: "a", step: 1, key: `${done.view.id}/a/1`, attempt: 1, applied: true }]);
    });
  });

  describe("work that blocks the event loop", () => {
    test("for less than four seconds only costs its time", async () => {
      const done = await run(fleet(), planOf(together("p", [probe("a", { busyMs: 1500, output: "done" })])));
      expect(done.view).toMatchObject({ status: "completed", result: { output: "done", attempt: 1, claim: 1 } });
    });
  });
}
