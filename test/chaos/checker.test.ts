import { describe, expect, test } from "vitest";
import { check, type Evidence, type Finding, recoveries, type Told } from "./checker.ts";
import type { Ack } from "./ledger.ts";

const at = new Date(5000).toISOString();

/** A log from types, those of tasks written as `task.completed a`. */
function log(...lines: string[]): Told["events"] {
  return lines.map((line, index) => {
    const [type = "", taskId] = line.split(" ");
    return { seq: index + 1, type, at, ...(taskId === undefined ? {} : { taskId }) };
  });
}

const good = log(
  "workflow.submitted",
  "workflow.started",
  "task.started a",
  "task.completed a",
  "task.started b",
  "task.completed b",
  "workflow.completed",
);

const ack: Ack = { id: "wf", idempotencyKey: "k", at: 1000, tasks: ["a", "b"], effects: ["wf/a", "wf/b"] };

/** Evidence of one workflow that went well, but for what is given. */
function evidence(change: Partial<Evidence> & { events?: Told["events"]; status?: Told["status"] } = {}): Evidence {
  const { events = good, status = "completed", ...rest } = change;
  return {
    acks: [ack],
    listed: ["wf"],
    told: new Map([["wf", { status, events }]]),
    effects: ack.effects.map((key) => ({ workflowId: "wf", key, applied: true })),
    ...rest,
  };
}

function harms(given: Evidence): Finding["harm"][] {
  return check(given).map(({ harm }) => harm);
}

describe("the checker", () => {
  test("has nothing to say where every promise held, an effect that was tried again and refused included", () => {
    const effects = [...evidence().effects, { workflowId: "wf", key: "wf/a", applied: false }];
    expect(check(evidence({ effects }))).toEqual([]);
  });

  test("a workflow that was acknowledged and that nobody knows is lost", () => {
    expect(harms(evidence({ told: new Map(), listed: [] }))).toEqual(["lost"]);
  });

  test.each(["failed", "aborted", "cancelled"] as const)("one that ended as %s is lost", (status) => {
    expect(harms(evidence({ status }))).toEqual(["lost"]);
  });

  test("one that completed without one of its tasks is lost", () => {
    expect(harms(evidence({ events: log("workflow.submitted", "task.completed a", "workflow.completed") }))).toEqual([
      "lost",
    ]);
  });

  test("one that has not ended is stuck", () => {
    expect(harms(evidence({ status: "running", events: good.slice(0, 4) }))).toEqual(["stuck"]);
  });

  test.each<[string, (events: Told["events"]) => Told["events"]]>([
    ["a gap", (events) => events.map((event) => (event.seq > 3 ? { ...event, seq: event.seq + 1 } : event))],
    ["two lines of one place", (events) => events.map((event) => (event.seq === 4 ? { ...event, seq: 3 } : event))],
  ])("%s in the log is out of order", (_, spoil) => {
    expect(harms(evidence({ events: spoil(good) }))).toContain("out of order");
  });

  test("a task that started before the one that it needs had completed is out of order", () => {
    const events = log(
      "task.started b",
      "task.started a",
      "task.completed a",
      "task.completed b",
      "workflow.completed",
    );
    expect(harms(evidence({ events }))).toEqual(["out of order"]);
  });

  test("a task that completed twice is out of order", () => {
    const lines = ["task.started a", "task.completed a", "task.completed a", "task.started b", "task.completed b"];
    expect(harms(evidence({ events: log(...lines, "workflow.completed") }))).toEqual(["out of order"]);
  });

  test("whatever stands behind the end is seen, a second end too", () => {
    const late = [...good, { seq: 8, type: "task.completed", at, taskId: "b" }];
    expect(harms(evidence({ events: late }))).toContain("after the end");
    expect(harms(evidence({ events: [...good, { seq: 8, type: "workflow.completed", at }] }))).toEqual([
      "after the end",
    ]);
  });

  test("an effect that happened twice is seen", () => {
    const { effects } = evidence();
    expect(harms(evidence({ effects: [...effects, ...effects.slice(0, 1)] }))).toEqual(["applied twice"]);
  });

  test("an effect of a completed workflow that never happened is seen, one of a workflow that goes on is not", () => {
    expect(harms(evidence({ effects: evidence().effects.slice(0, 1) }))).toEqual(["never applied"]);
    expect(harms(evidence({ effects: [], status: "running" }))).toEqual(["stuck"]);
  });

  test("a workflow that nobody was promised, and two for one key, are doubled", () => {
    expect(harms(evidence({ listed: ["wf", "other"] }))).toEqual(["doubled"]);
    const twin = { ...ack, id: "twin", effects: [] };
    const told = new Map(evidence().told).set("twin", { status: "completed", events: good });
    expect(harms(evidence({ acks: [ack, twin], listed: ["wf", "twin"], told }))).toEqual(["doubled"]);
  });
});

describe("recovery", () => {
  const end = (ms: number): Told => ({
    status: "completed",
    events: [{ seq: 1, type: "workflow.completed", at: new Date(ms).toISOString() }],
  });
  const acks = [
    { ...ack, id: "before", at: 1000 },
    { ...ack, id: "slow", at: 3000 },
    { ...ack, id: "quick", at: 4000 },
  ];
  const told = new Map([
    ["before", end(2500)],
    ["slow", end(9000)],
    ["quick", end(5000)],
  ]);

  test("is the time until the first end of what was acknowledged after the fault", () => {
    expect(recoveries([500, 2000], { acks, told })).toEqual([2000, 3000]);
  });

  test("is not told for a fault after which nothing was acknowledged", () => {
    expect(recoveries([4500], { acks, told })).toEqual([]);
  });
});
