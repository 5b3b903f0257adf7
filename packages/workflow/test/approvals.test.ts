import { decide, type EventBody, type ItemDecision, lookEveryMs, projectWorkflow } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, lines, parallel, running, task, workflowId } from "./log.ts";

const look = {
  now: begin + 1000,
  expired: [],
  missing: [],
  isRepeated: false,
  agents: new Map(),
  defaults: { attempts: 3, concurrency: 100 },
};
const item = `${workflowId}.6`;

/** A workflow whose only task asks; its item is opened 50 ms after the beginning, by line 6. */
function asking(more: EventBody[] = [], expiry: { expiresInMs?: number } = {}) {
  const detail = { step: "s", action: "pay", arguments: { amount: 5 }, argumentsHash: "h" };
  const opened: EventBody = {
    type: "item.opened",
    taskId: "a",
    attempt: 1,
    epoch: 1,
    data: { kind: "approval", summary: "pay 5", detail, ...expiry },
  };
  const phases = parallel([task("a", { retry: { attempts: 5, backoffMs: 1 } })]);
  return running(phases, [lines.scheduled("a"), lines.started("a"), opened, ...more]);
}

const settled = (decision: ItemDecision, reason?: string): EventBody => ({
  type: "item.settled",
  taskId: "a",
  attempt: 1,
  data: { item, decision, by: "00000000", ...(reason === undefined ? {} : { reason }) },
});
const expired: EventBody = { type: "item.expired", taskId: "a", attempt: 1, data: { item } };

describe("a task that asks for approval", () => {
  test.each(["approve", "edit"] as const)("goes on as the same attempt once a person says %s", (decision) => {
    const { events, dispatches } = decide(asking([settled(decision)]), look);
    expect(events.map(({ type }) => type)).toEqual(["task.scheduled"]);
    expect(dispatches).toMatchObject([{ taskId: "a", attempt: 1, dispatch: 2 }]);
  });

  test("fails for good when a person denies it, whatever attempts are left, and says why", () => {
    const { events } = decide(asking([settled("deny", "too dear")]), look);
    expect(events.map(({ type }) => type)).toEqual(["task.failed", "workflow.failed"]);
    expect(events[0]).toMatchObject({
      data: { error: { class: "cancelled", code: "denied", message: expect.stringContaining("too dear") } },
    });
  });

  test("waits for as long as it takes where it does not expire", () => {
    const late = { ...look, now: begin + 1e12 };
    expect(decide(asking(), late).events).toEqual([{ type: "workflow.waiting", data: {} }]);
  });

  test.each([
    { expiresInMs: 3000, nextLook: begin + 50 + 3000 },
    { expiresInMs: 1e9, nextLook: look.now + lookEveryMs },
  ])("is looked at when it expires, and at the latest as any other: $expiresInMs", ({ expiresInMs, nextLook }) => {
    const { events, ...decision } = decide(asking([], { expiresInMs }), look);
    expect(events).toEqual([{ type: "workflow.waiting", data: {} }]);
    expect(decision.nextLook).toBe(nextLook);
  });

  test("fails by its time when nobody answered, and not a millisecond before", () => {
    const state = asking([], { expiresInMs: 100 });
    const at = (now: number) => decide(state, { ...look, now }).events.map(({ type }) => type);
    expect(at(begin + 149)).toEqual(["workflow.waiting"]);
    expect(at(begin + 150)).toEqual(["item.expired", "task.failed", "workflow.failed"]);
    expect(decide(state, look).events[1]).toMatchObject({
      data: { error: { class: "deadline", code: "item-expired" } },
    });
  });

  test.each<[string, EventBody[], string]>([
    ["an answer after its time has run out", [expired, settled("approve")], "waiting"],
    ["the end of its time after an answer", [settled("approve"), expired], "returned"],
    ["a second answer", [settled("deny"), settled("approve")], "waiting"],
  ])("is not moved by %s", (_, events, kind) => {
    expect(asking(events).tasks.get("a")?.stage.kind).toBe(kind);
  });

  test("shows what it waits for, and until when", () => {
    const [view] = projectWorkflow(asking([], { expiresInMs: 1000 }), () => null).tasks;
    expect(view).toMatchObject({
      status: "waiting",
      waitingFor: { reason: "person", item, until: new Date(begin + 1050).toISOString() },
    });
  });
});
