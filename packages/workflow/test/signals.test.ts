import { decide, type EventBody, forkLog, projectWorkflow, type SignalWait } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, lines, numbered, parallel, planned, running, task, workflowId } from "./log.ts";

const look = {
  now: begin + 1000,
  expired: [],
  missing: [],
  isRepeated: false,
  agents: new Map(),
  defaults: { attempts: 3, concurrency: 100 },
};

const wait = (nth = 1, signal = "go"): SignalWait => ({ signal, nth, step: `#signal/${nth}`, inputHash: "h" });
const released = (taskId: string, awaits: SignalWait): EventBody => ({
  type: "task.released",
  taskId,
  attempt: 1,
  epoch: 1,
  data: { reason: "waits", awaits },
});
const signal = (name = "go", data = 7): EventBody => ({
  type: "signal.received",
  data: { name, data, by: "00000000" },
});
const claimed = (id: string) => [lines.scheduled(id), lines.started(id)];
/** Task `a` comes to its wait by line 6, after what comes before its claim. */
const waiting = (more: EventBody[] = [], before: EventBody[] = []) =>
  running(parallel([task("a")]), [...before, ...claimed("a"), released("a", wait()), ...more]);

describe("a task that waits for a signal", () => {
  test("parks the workflow, and shows what it waits for", () => {
    const { events, after } = decide(waiting(), look);
    expect(events).toEqual([{ type: "workflow.waiting", data: {} }]);
    expect(projectWorkflow(after, () => null)).toMatchObject({
      status: "waiting",
      tasks: [{ status: "waiting", attempt: 1, waitingFor: { reason: "signal" } }],
    });
  });

  test.each([
    ["after", [signal()], [], 7],
    ["before", [], [signal()], 4],
  ] as const)("goes on as the same attempt with one that came %s its wait", (_, more, before, place) => {
    const { events, gifts, dispatches } = decide(waiting([...more], [...before]), look);
    expect(events.map(({ type }) => type)).toEqual(["task.scheduled"]);
    expect(dispatches).toMatchObject([{ taskId: "a", attempt: 1, dispatch: 2 }]);
    expect(gifts).toEqual([{ taskId: "a", gift: { step: "#signal/1", inputHash: "h", given: { signal: place } } }]);
  });

  test("is not moved by one of another name", () => {
    expect(waiting([signal("stop")]).tasks.get("a")?.stage.kind).toBe("parked");
  });

  test("gets for its nth wait the nth signal of the name, however often it comes to it", () => {
    const second = [...claimed("a"), released("a", wait(2))];
    const again = (events: EventBody[]) => running(parallel([task("a")]), events).tasks.get("a")?.stage;
    expect(again([...second, signal()])).toMatchObject({ kind: "parked" });
    expect(again([...second, signal(), signal()])).toMatchObject({ kind: "returned", gift: { given: { signal: 8 } } });
    const retried = [...second, signal(), signal(), lines.scheduled("a", 1, 2), lines.started("a", 1, 2)];
    expect(again([...retried, released("a", wait(2))])).toMatchObject({ gift: { given: { signal: 8 } } });
  });

  test("shares a signal with every other that waits for it", () => {
    const both = ["a", "b"].flatMap((id) => [...claimed(id), released(id, wait())]);
    const { gifts } = decide(running(parallel([task("a"), task("b")]), [...both, signal()]), look);
    expect(gifts.map(({ taskId, gift }) => [taskId, gift.given])).toEqual([
      ["a", { signal: 10 }],
      ["b", { signal: 10 }],
    ]);
  });

  test("has no gift any more once it is dispatched: a second look gives none", () => {
    const { after } = decide(waiting([signal()]), look);
    expect(decide(after, look)).toMatchObject({ events: [], gifts: [] });
  });

  test("waits again in a fork, and finds there what came before the place of the fork", () => {
    const log = numbered([...planned(parallel([task("a")])), ...claimed("a"), released("a", wait()), signal()]);
    const forks = [6, 7].map((fromSeq) => forkLog(workflowId, "source", log, { fromSeq }));
    for (const fork of forks) expect(fork).toMatchObject({ kind: "fork" });
    expect(forks.map((fork) => fork.kind === "fork" && fork.state.signals.get("go"))).toEqual([undefined, [7]]);
    const stages = forks.map((fork) => fork.kind === "fork" && fork.state.tasks.get("a")?.stage.kind);
    expect(stages).toEqual(["returned", "returned"]);
  });

  test("ends with its workflow", () => {
    const state = waiting([{ type: "cancel.requested", data: {} }]);
    expect(decide(state, look).events.map(({ type }) => type)).toEqual(["task.cancelled", "workflow.cancelled"]);
  });
});
