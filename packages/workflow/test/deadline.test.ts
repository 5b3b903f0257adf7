import { decide, forkLog, fold, type Look, lookEveryMs } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, done, lines, numbered, parallel, planned, running, task, workflowId } from "./log.ts";

const now = begin + 100_000;
const look: Look = {
  now,
  expired: [],
  missing: [],
  isRepeated: false,
  agents: new Map([["worker", { mayPlan: false }]]),
  defaults: { attempts: 3, concurrency: 100 },
};
const timeAt = (ms: number) => new Date(ms).toISOString();

describe("the start of a workflow", () => {
  const waiting = (startAt: number) =>
    fold(workflowId, undefined, numbered(planned(parallel([task("a")]), { startAt: timeAt(startAt) }).slice(0, 1)));

  test.each([
    ["is looked for when it comes", now + 1000, false, now + 1000],
    ["is looked for again and again while it is far", now + 3_600_000, false, now + lookEveryMs],
    ["has come, so the workflow is admitted", now, true, now + 5000],
  ])("%s", (_, startAt, admit, nextLook) => {
    expect(decide(waiting(startAt), look)).toMatchObject({ admit, nextLook, events: [], dispatches: [] });
  });
});

describe("the deadline of a workflow", () => {
  const state = (deadline: number) => running(parallel([task("a")]), [], { deadline: timeAt(deadline) });

  test("is the next look when it comes first", () => {
    expect(decide(state(now + 7), look)).toMatchObject({ nextLook: now + 7, dispatches: [{ taskId: "a" }] });
  });

  test("aborts what is open, and needs no task to blame", () => {
    const { events, after } = decide(state(now), look);
    expect(events.map(({ type }) => type)).toEqual(["task.cancelled", "workflow.aborted"]);
    expect(after.error).toEqual({
      class: "deadline",
      code: "deadline-passed",
      message: `the workflow was not done by ${timeAt(now)}`,
    });
  });

  test("is lifted by a retry, and by a fork, that come after it", () => {
    const deadline = timeAt(now);
    const log = [...planned(parallel([task("a", { deadline })]), { deadline }), ...done("a")];
    const aborted = decide(fold(workflowId, undefined, numbered(log)), look).events;
    const retried = numbered([...log, ...aborted, { type: "retry.requested", data: {} }]).map((event) => ({
      ...event,
      at: Math.max(event.at, now),
    }));
    expect(decide(fold(workflowId, undefined, retried), look).after.status).toBe("completed");
    const fork = forkLog(workflowId, "source", numbered(log), { fromSeq: 2 });
    if (fork.kind !== "fork") throw new Error("no fork");
    const { submitted } = fork;
    const made = { ...submitted, data: { ...submitted.data, forkedFrom: { ...submitted.data.forkedFrom, at: now } } };
    const state = fold(workflowId, undefined, [{ ...made, seq: 1, at: begin }, ...numbered(log).slice(1, 3)]);
    expect(decide(state, look).dispatches).toMatchObject([{ taskId: "a" }]);
  });
});

describe("the deadline of a task", () => {
  const deadline = timeAt(now);
  const late = { deadline, onFailure: "continue" as const };
  const failed = { type: "task.failed", taskId: "a", data: { error: { class: "deadline" } } };

  test.each([
    ["pending", [], []],
    ["in a queue, from which it cannot be claimed any more", [lines.scheduled("a")], [{ kind: "close", epoch: 0 }]],
    ["running, and its worker loses it", [lines.scheduled("a"), lines.started("a")], [{ kind: "revoke", epoch: 1 }]],
  ])("fails it %s", (_, events, claims) => {
    const decision = decide(running(parallel([task("a", late), task("b")]), events), look);
    expect(decision.events[0]).toMatchObject(failed);
    expect(decision.claims).toMatchObject(claims);
    expect(decision.after.endedAt).toBeUndefined();
  });

  test("does not undo what was done in time", () => {
    expect(decide(running(parallel([task("a", late)]), done("a")), look).after.status).toBe("completed");
  });

  test("is not waited for once it is done", () => {
    const soon = { deadline: timeAt(now + 7) };
    const state = running(parallel([task("a", soon), task("b")]), [...done("a"), lines.scheduled("b")]);
    expect(decide(state, look).nextLook).toBe(now + lookEveryMs);
  });
});
