import { decide, type EventBody, type Look, projectWorkflow } from "@flotilla/workflow";
import { expect, test } from "vitest";
import { begin, lines, parallel, running, task } from "./log.ts";

const postponed: EventBody = {
  type: "task.released",
  taskId: "a",
  attempt: 1,
  epoch: 1,
  data: { reason: "", postponed: { reason: "circuit-open", of: "model:x", forMs: 5000 } },
};
/** By its line: the fifth, 10 ms after each other, and so long from there. */
const until = begin + 50 + 5000;
const state = (more: EventBody[] = []) =>
  running(parallel([task("a"), task("b")]), [lines.scheduled("a"), lines.started("a"), postponed, ...more], {
    concurrency: 1,
  });

function look(now: number, more: EventBody[] = []) {
  const agents = new Map([["worker", { mayPlan: false }]]);
  const defaults = { attempts: 3, concurrency: 100 };
  const given: Look = { now, expired: [], missing: [], isRepeated: false, agents, defaults };
  return decide(state(more), given);
}

test("a task that is postponed is dispatched again in its time and not before, the same attempt", () => {
  const early = look(until - 1, [lines.scheduled("b")]);
  expect(early).toMatchObject({ dispatches: [], nextLook: until });
  const { dispatches, claims } = look(until, [lines.scheduled("b"), lines.started("b"), lines.completed("b")]);
  expect(dispatches).toMatchObject([{ taskId: "a", attempt: 1, dispatch: 2 }]);
  expect(claims).toEqual([{ kind: "reopen", taskId: "a", epoch: 1, attempt: 1, dispatch: 2 }]);
});

test("meanwhile others have its place, and the workflow waits for nobody", () => {
  const { dispatches, after } = look(until - 1);
  expect(dispatches).toMatchObject([{ taskId: "b" }]);
  expect(after.status).toBe("running");
  expect(projectWorkflow(after, () => undefined).tasks).toMatchObject([{ status: "waiting" }, { status: "queued" }]);
});

test("a cancel does not wait for it", () => {
  const { events } = look(until - 1, [{ type: "cancel.requested", data: {} }]);
  expect(events.map(({ type }) => type)).toEqual(["task.cancelled", "task.cancelled", "workflow.cancelled"]);
});
