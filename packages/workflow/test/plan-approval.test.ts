import {
  decide,
  type EventBody,
  fold,
  forkLog,
  type ItemDecision,
  type Json,
  type Look,
  type PhaseRequest,
  planEditIssues,
  projectWorkflow,
  type WorkflowEvent,
  type WorkflowRequest,
  type WorkflowState,
} from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { maxShownPlanBytes, planItem } from "../src/plan-approval.ts";
import { begin, done, lines, numbered, parallel, task, workflowId } from "./log.ts";

const agents = new Map([
  ["worker", { mayPlan: false }],
  ["probe", { mayPlan: false }],
  ["planner", { mayPlan: true }],
]);
const defaults = { attempts: 3, concurrency: 100 };
const look: Look = { now: begin + 100_000, expired: [], missing: [], isRepeated: false, agents, defaults };

/** A workflow that goes on line by line: what somebody says, and what is decided on it. */
class Story {
  readonly log: WorkflowEvent[];

  constructor(request: Partial<WorkflowRequest>) {
    const submitted = { tenant: "default", request: { input: "question", approvePlan: true, ...request } };
    this.log = numbered([
      { type: "workflow.submitted", data: submitted },
      { type: "workflow.started", data: {} },
    ]);
  }

  get state(): WorkflowState {
    return fold(workflowId, undefined, this.log);
  }

  /** The item that was opened last. */
  get item(): string {
    return `${workflowId}.${this.log.findLast(({ type }) => type === "item.opened")?.seq}`;
  }

  say(...events: EventBody[]): this {
    this.log.push(...numbered(events, this.log.length + 1));
    return this;
  }

  settle(decision: ItemDecision, more: { reason?: string; edit?: Json } = {}, taskId?: string): this {
    const at = taskId === undefined ? {} : { taskId, attempt: 1 };
    return this.say({ type: "item.settled", ...at, data: { item: this.item, decision, by: "person", ...more } });
  }

  /** The types of what a look decides, which then stands in the log; a second look decides nothing more. */
  look(): string[] {
    const { events, after } = decide(this.state, look);
    this.say(...events);
    expect(decide(after, look).events).toEqual([]);
    return events.map(({ type }) => type);
  }
}

const asked = parallel([task("a")], [task("b")]);
const edited: PhaseRequest[] = parallel([task("c")]);
const edit = { edit: { phases: edited } as unknown as Json };

describe("the plan of a request that wants it approved", () => {
  const waiting = () => {
    const story = new Story({ plan: { phases: asked } });
    expect(story.look()).toEqual(["item.opened", "workflow.waiting"]);
    return story;
  };

  test("is asked about before anything runs, and its first tasks wait for the person", () => {
    const story = waiting();
    const [opened] = story.log.slice(2);
    expect(opened).toMatchObject({ data: { kind: "plan", detail: { by: "request", tasks: 2, phases: asked } } });
    const view = projectWorkflow(story.state, () => null);
    expect(view).toMatchObject({
      status: "waiting",
      tasks: [
        { id: "a", status: "waiting", waitingFor: { reason: "person", item: story.item } },
        { id: "b", status: "pending", waitingFor: { reason: "dependency" } },
      ],
    });
  });

  test.each<[string, ItemDecision, { edit?: Json }, string[]]>([
    ["approved runs as it stands", "approve", {}, ["a", "b"]],
    ["edited runs as the person has written it", "edit", edit, ["c"]],
  ])("once %s", (_, decision, more, tasks) => {
    const story = waiting().settle(decision, more);
    expect(story.look()).toEqual(["workflow.resumed", "workflow.planned", "task.scheduled"]);
    expect([...story.state.tasks.keys()]).toEqual(tasks);
    expect(story.state.status).toBe("running");
  });

  test("once denied aborts the workflow with the reason, and a retry asks again", () => {
    const story = waiting().settle("deny", { reason: "too expensive" });
    expect(story.look()).toEqual(["task.cancelled", "task.cancelled", "workflow.aborted"]);
    const message = "a person denied the plan: too expensive";
    expect(story.state).toMatchObject({
      status: "aborted",
      error: { class: "cancelled", code: "plan-denied", message },
    });
    story.say({ type: "retry.requested", data: {} });
    expect(story.look()).toEqual(["item.opened", "workflow.waiting"]);
  });

  test("an edit that is no plan never lets the plan pass that somebody meant to change", () => {
    const story = waiting().settle("edit", { edit: { phases: [] } });
    expect(story.look().at(-1)).toBe("workflow.aborted");
  });

  test("a word on another item changes nothing", () => {
    const story = waiting();
    story.say({ type: "item.settled", data: { item: `${workflowId}.99`, decision: "approve", by: "person" } });
    expect(story.look()).toEqual([]);
  });

  test("a cancel, and the deadline of the workflow, end it while it waits", () => {
    expect(waiting().say({ type: "cancel.requested", data: {} }).look().at(-1)).toBe("workflow.cancelled");
    const story = new Story({ plan: { phases: asked }, deadline: new Date(look.now + 5).toISOString() });
    story.look();
    expect(decide(story.state, look).nextLook).toBe(look.now + 5);
    const late = decide(story.state, { ...look, now: look.now + 5 });
    expect(late.events.at(-1)?.type).toBe("workflow.aborted");
  });

  test.each([
    ["while it waits", (story: Story) => story],
    ["where it was denied", (story: Story) => story.settle("deny")],
  ])("a fork from the place %s asks anew", (_, at) => {
    const { log } = at(waiting());
    const fork = forkLog("wf_00_11111111111111111111111111", workflowId, log, { fromSeq: log.length });
    if (fork.kind !== "fork") throw new Error("no fork");
    expect(decide(fork.state, look).events.map(({ type }) => type)).toContain("item.opened");
  });

  test("without the field nobody is asked", () => {
    const story = new Story({ plan: { phases: asked }, approvePlan: false });
    expect(story.look()).toEqual(["workflow.planned", "task.scheduled"]);
  });
});

describe("what a task has planned, where plans are to be approved", () => {
  /** The planner is not asked about: only what it plans is. */
  const waiting = (planner: Partial<PhaseRequest["tasks"][number]> = {}) => {
    const story = new Story({ plan: { phases: parallel([task("p", { agent: "planner", ...planner })]) } });
    story.look();
    story.settle("approve").look();
    const completed = { type: "task.completed" as const, taskId: "p", attempt: 1, epoch: 1 };
    story.say(lines.started("p"), { ...completed, data: { outputBytes: 2, output: "", append: asked } });
    expect(story.look()).toEqual(["item.opened", "workflow.waiting"]);
    return story;
  };

  test("is asked about, and the task waits with it without a time that runs", () => {
    const deadline = look.now + 5;
    const story = waiting({ deadline: new Date(deadline).toISOString() });
    expect(decide(story.state, { ...look, now: deadline + 1 }).events).toEqual([]);
    expect(story.state.tasks.get("p")?.stage).toMatchObject({ kind: "waiting", about: "plan", item: story.item });
    expect(projectWorkflow(story.state, () => null).tasks).toMatchObject([
      { id: "p", status: "waiting", waitingFor: { reason: "person", item: story.item } },
    ]);
  });

  test.each<[ItemDecision, { edit?: Json }, string[]]>([
    ["approve", {}, ["p", "a", "b"]],
    ["edit", edit, ["p", "c"]],
  ])("runs after %s", (decision, more, tasks) => {
    const story = waiting().settle(decision, more, "p");
    expect(story.look()).toEqual(["workflow.resumed", "workflow.planned", "task.scheduled"]);
    expect([...story.state.tasks.keys()]).toEqual(tasks);
  });

  test("aborts the workflow where it is denied, and the planner's own work is undone", () => {
    const story = waiting({ compensate: { agent: "worker", input: null } }).settle("deny", { reason: "no" }, "p");
    expect(story.look()).toEqual(["workflow.planned", "workflow.compensating", "task.scheduled"]);
    story.say(...done("p~undo"));
    story.look();
    expect(story.state).toMatchObject({ status: "aborted", error: { code: "plan-denied" } });
    expect(story.state.tasks.get("p")?.stage.kind).toBe("compensated");
  });

  test("is expired by a cancel that undoes, and what the planner did is undone", () => {
    const story = waiting({ compensate: { agent: "worker", input: null } });
    story.say({ type: "cancel.requested", data: { compensate: true } });
    expect(story.look()).toEqual(["item.expired", "workflow.planned", "workflow.compensating", "task.scheduled"]);
  });

  test("what cannot run goes back to the planner before anybody is asked", () => {
    const story = new Story({ plan: { phases: parallel([task("p", { agent: "planner" })]) } });
    story.look();
    story.settle("approve").look();
    const completed = { type: "task.completed" as const, taskId: "p", attempt: 1, epoch: 1 };
    story.say(lines.started("p"), { ...completed, data: { outputBytes: 2, append: parallel([task("p")]) } });
    expect(story.look()).toEqual(["task.retrying", "task.scheduled"]);
  });
});

describe("an edit", () => {
  const state = new Story({ plan: { phases: asked } }).state;
  test.each<[string, string | undefined, Json, string[]]>([
    ["that is a plan has none", undefined, { phases: edited as unknown as Json }, []],
    ["of the plan of the request may use its names", undefined, { phases: asked as unknown as Json }, []],
    [
      "of phases that are appended may not use the names of those before",
      "p",
      { phases: asked as unknown as Json },
      ["/edit/phases/0/tasks/0/id", "/edit/phases/1/tasks/0/id"],
    ],
    [
      "that is no plan",
      undefined,
      { phases: [{ name: "p" }], more: 1 },
      ["/edit/phases/0/parallel", "/edit/phases/0/tasks", "/edit/more"],
    ],
    [
      "with agents that nobody knows, and a probe that is told nonsense",
      undefined,
      {
        phases: parallel([
          task("a", { agent: "nobody" }),
          task("b", { agent: "probe", input: { sleep: 1 } }),
        ]) as unknown as Json,
      },
      ["/edit/phases/0/tasks/0/agent", "/edit/phases/0/tasks/1/input/sleep"],
    ],
  ])("%s", (_, by, given, paths) => {
    expect(planEditIssues(state, by, given, agents).map(({ path }) => path)).toEqual(paths);
  });
});

test("an item shows a plan up to 32 KB of JSON, and of a larger one its size", () => {
  const large = parallel([task("a", { input: "x".repeat(maxShownPlanBytes) })]);
  expect(planItem("request", large)).toMatchObject({
    summary: "the plan of the request is to run: 1 task in 1 phase",
    detail: { tasks: 1, phasesBytes: JSON.stringify(large).length },
  });
  expect(planItem("request", large).detail).not.toHaveProperty("phases");
});
