import {
  decide,
  type EventBody,
  fold,
  jobPriority,
  type Look,
  lookEveryMs,
  poisonDeaths,
  lookAhead,
  type WorkflowState,
} from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { begin, done, lines, numbered, parallel, planned, running, task, workflowId } from "./log.ts";

const agents = new Map([
  ["worker", { mayPlan: false }],
  ["planner", { mayPlan: true }],
]);
const now = begin + 100_000;
const look: Look = {
  now,
  expired: [],
  missing: [],
  isRepeated: false,
  agents,
  defaults: { attempts: 3, concurrency: 100 },
};

const typesOf = (state: WorkflowState, change: Partial<Look> = {}) =>
  decide(state, { ...look, ...change }).events.map(({ type }) => type);
const dispatched = (state: WorkflowState) => decide(state, look).dispatches.map(({ taskId }) => taskId);

describe("planning", () => {
  const submitted = (request: object, isStarted = true) => {
    const first: EventBody = {
      type: "workflow.submitted",
      data: { tenant: "default", request: { input: "question", ...request } },
    };
    return fold(workflowId, undefined, numbered([first, ...(isStarted ? planned([]).slice(1, 2) : [])]));
  };

  test("a workflow that nobody has admitted gets its admission job again, every 5 s", () => {
    expect(decide(submitted({}, false), look)).toMatchObject({ events: [], admit: true, nextLook: now + 5000 });
  });

  test.each([
    ["the request", { plan: { phases: parallel([task("a")]) } }, "request", "p0", "a", "worker", "running"],
    ["an agent: one phase and one task, main", { agent: "worker" }, "request", "main", "main", "worker", "running"],
    ["neither: the planner", {}, "router", "planning", "planning", "planner", "planning"],
  ])("the plan comes from %s", (_, request, by, phase, id, agent, status) => {
    const { events, dispatches, after } = decide(submitted(request), look);
    expect(events[0]).toMatchObject({
      type: "workflow.planned",
      data: { by, defaults: look.defaults },
    });
    expect(after.phases.map(({ request: { name } }) => name)).toEqual([phase]);
    expect(dispatches).toEqual([{ taskId: id, agent, attempt: 1, dispatch: 1, priority: "normal" }]);
    expect(after.status).toBe(status);
  });
});

describe("scheduling", () => {
  test("what is ready goes together, the most urgent first, and nothing else", () => {
    const phases = parallel(
      [task("low", { priority: "low" }), task("normal"), task("critical", { priority: "critical" })],
      [task("later")],
    );
    const { events, dispatches, claims } = decide(running(phases), look);
    expect(events).toEqual([
      {
        type: "tasks.scheduled",
        data: { tasks: ["critical", "normal", "low"].map((taskId) => ({ taskId, attempt: 1, dispatch: 1 })) },
      },
    ]);
    expect(dispatches.map(({ taskId }) => taskId)).toEqual(["critical", "normal", "low"]);
    expect(claims).toEqual([]);
  });

  test("BullMQ's priorities begin at 1", () => {
    expect((["critical", "high", "normal", "low"] as const).map(jobPriority)).toEqual([1, 2, 3, 4]);
  });

  test("a full phase does not hold up another", () => {
    const [first, second] = parallel(
      [task("a"), task("b")],
      [task("c", { dependsOn: [] }), task("d", { dependsOn: [] })],
    );
    if (!first || !second) throw new Error("no phases");
    expect(dispatched(running([{ ...first, concurrency: 1 }, second]))).toEqual(["a", "c", "d"]);
    expect(dispatched(running([{ ...first, concurrency: 1 }, second], [], { concurrency: 2 }))).toEqual(["a", "c"]);
  });

  test("a task that failed under continue lets those that need it run", () => {
    const phases = parallel([task("a", { onFailure: "continue" })], [task("b")]);
    expect(dispatched(running(phases, [lines.scheduled("a"), lines.started("a"), lines.failed("a")]))).toEqual(["b"]);
  });

  test("a look that is repeated repeats the dispatches that nobody has claimed, without a word in the log", () => {
    const state = running(parallel([task("a"), task("b")]), [
      lines.scheduled("a"),
      lines.scheduled("b"),
      lines.started("b"),
    ]);
    expect(decide(state, { ...look, isRepeated: true })).toMatchObject({
      events: [],
      suspects: [],
      dispatches: [{ taskId: "a", dispatch: 1 }],
    });
  });

  test("a job is looked for when it has waited for a while, and dispatched anew when it is gone", () => {
    const state = running(parallel([task("a")]), [lines.scheduled("a")]);
    expect(decide(state, { ...look, now: begin + 1000 })).toMatchObject({
      suspects: [],
      nextLook: begin + 30 + lookEveryMs,
    });
    expect(decide(state, look)).toMatchObject({ events: [], suspects: [{ taskId: "a", dispatch: 1 }] });
    const { events, claims, dispatches } = decide(state, { ...look, missing: ["a"] });
    expect(events.map(({ type }) => type)).toEqual(["repair.applied", "task.scheduled"]);
    expect(claims).toEqual([{ kind: "reopen", taskId: "a", epoch: 0, attempt: 1, dispatch: 2 }]);
    expect(dispatches).toMatchObject([{ taskId: "a", dispatch: 2 }]);
  });
});

describe("failures", () => {
  const claimed = [lines.scheduled("a"), lines.started("a")];
  const two = (more = {}) => parallel([task("a", more), task("b")]);

  test("one that may be tried again waits out its backoff, and is scheduled when it is over", () => {
    const state = running(two({ retry: { attempts: 2, backoffMs: 100 } }), [
      ...claimed,
      lines.failed("a", "transient"),
    ]);
    const { events, after, nextLook } = decide(state, look);
    const [retrying] = events;
    if (retrying?.type !== "task.retrying") throw new Error("it is not tried again");
    expect(retrying.attempt).toBe(2);
    expect(retrying.data.notBefore).toBeGreaterThanOrEqual(now + 100);
    expect(nextLook).toBe(retrying.data.notBefore);
    expect(typesOf(after, { now: nextLook - 1 })).toEqual([]);
    expect(decide(after, { ...look, now: nextLook })).toMatchObject({
      dispatches: [{ taskId: "a", attempt: 2, dispatch: 1 }],
      claims: [{ kind: "reopen", taskId: "a", epoch: 1, attempt: 2, dispatch: 1 }],
    });
  });

  test.each([
    ["for good", {}, lines.failed("a", "data"), ["task.cancelled", "workflow.failed"], "failed"],
    [
      "on its last attempt",
      { retry: { attempts: 1, backoffMs: 0 } },
      lines.failed("a", "transient"),
      ["task.cancelled", "workflow.failed"],
      "failed",
    ],
    [
      "critically, whatever its policy is",
      { onFailure: "continue" },
      lines.failed("a", "critical"),
      ["task.cancelled", "workflow.aborted"],
      "aborted",
    ],
  ] as const)("a task that fails %s ends the workflow", (_, more, failure, types, status) => {
    const { events, after } = decide(running(two(more), [...claimed, failure]), look);
    expect(events.map(({ type }) => type)).toEqual(types);
    expect(after).toMatchObject({ status, endedAt: now, error: { taskId: "a", code: "code" } });
  });

  test("a critical failure goes before an earlier one", () => {
    const state = running(two(), [
      ...claimed,
      lines.scheduled("b"),
      lines.started("b"),
      lines.failed("a"),
      lines.failed("b", "critical"),
    ]);
    expect(decide(state, look).after).toMatchObject({ status: "aborted", error: { taskId: "b" } });
  });

  test("a claim that ran out is revoked and the same attempt dispatched again", () => {
    const { events, claims, dispatches } = decide(running(parallel([task("a")]), claimed), {
      ...look,
      expired: [{ taskId: "a", epoch: 1 }],
    });
    expect(events.map(({ type }) => type)).toEqual(["task.crashed", "task.scheduled"]);
    expect(claims.map(({ kind, epoch }) => [kind, epoch])).toEqual([
      ["revoke", 1],
      ["reopen", 1],
    ]);
    expect(dispatches).toMatchObject([{ attempt: 1, dispatch: 2 }]);
  });

  test("a claim that has ended meanwhile is not judged", () => {
    const expired = [
      { taskId: "a", epoch: 0 },
      { taskId: "b", epoch: 1 },
      { taskId: "x", epoch: 1 },
    ];
    expect(typesOf(running(two(), [...claimed, lines.scheduled("b")]), { expired })).toEqual([]);
  });

  test("a claim that ran out at its timeout has timed out, which may be tried again", () => {
    const state = running(parallel([task("a", { timeoutMs: 500, retry: { attempts: 2, backoffMs: 1000 } })]), claimed);
    expect(typesOf(state, { expired: [{ taskId: "a", epoch: 1 }] })).toEqual(["task.timed_out", "task.retrying"]);
    expect(typesOf(state, { now: begin + 500, expired: [{ taskId: "a", epoch: 1 }] })).toEqual([
      "task.crashed",
      "task.scheduled",
    ]);
  });

  test("the third death of a worker fails the task as poison", () => {
    const crashed: EventBody = {
      type: "task.crashed",
      taskId: "a",
      attempt: 1,
      epoch: 1,
      data: { deaths: poisonDeaths - 1 },
    };
    const state = running(parallel([task("a")]), [
      ...claimed,
      crashed,
      lines.scheduled("a", 1, 2),
      lines.started("a", 1, 2),
    ]);
    const { events, after } = decide(state, { ...look, expired: [{ taskId: "a", epoch: 2 }] });
    expect(events.map(({ type }) => type)).toEqual(["task.crashed", "task.failed", "workflow.failed"]);
    expect(after.error).toMatchObject({ class: "poison", taskId: "a" });
  });
});

describe("the end", () => {
  test("a workflow is completed when all of its tasks are settled", () => {
    expect(typesOf(running(parallel([task("a")]), done("a")))).toEqual(["workflow.completed"]);
  });

  test.each<[string, EventBody[]]>([
    ["before it is planned", []],
    ["while tasks are open", planned(parallel([task("a")], [task("b")])).slice(1)],
  ])("a cancel ends it %s, with its reason", (_, events) => {
    const cancel: EventBody = { type: "cancel.requested", data: { reason: "enough" } };
    const state = fold(workflowId, undefined, numbered([...planned([]).slice(0, 1), ...events, cancel]));
    expect(decide(state, look).events.at(-1)).toEqual({ type: "workflow.cancelled", data: { reason: "enough" } });
    for (const { stage } of decide(state, look).after.tasks.values()) expect(stage.kind).toBe("cancelled");
  });

  test("nothing is decided about a workflow that has ended", () => {
    const ended = running(parallel([task("a")]), [...done("a"), { type: "workflow.completed", data: {} }]);
    expect(decide(ended, look)).toMatchObject({ events: [], dispatches: [], claims: [], admit: false, quiet: 0 });
  });
});

describe("phases that a task proposes", () => {
  const proposing = (agent: string, append: unknown[]) =>
    running(parallel([task("a", { agent })]), [
      lines.scheduled("a"),
      lines.started("a"),
      { type: "task.completed", taskId: "a", attempt: 1, epoch: 1, data: { outputBytes: 2, output: "", append } },
    ]);

  test("are appended, and run in the same look", () => {
    const { events, after } = decide(
      proposing("planner", parallel([task("b", { input: "{{tasks.a.output}}" })])),
      look,
    );
    expect(events.map(({ type }) => type)).toEqual(["workflow.planned", "task.scheduled"]);
    expect(after.tasks.get("b")).toMatchObject({ phase: 1, stage: { kind: "scheduled" } });
  });

  test("may be none", () => {
    expect(typesOf(proposing("planner", []))).toEqual(["workflow.planned", "workflow.completed"]);
  });

  test.each([
    ["by an agent that may not plan", "worker", parallel([task("b")]), "may not append"],
    ["that are no phases", "planner", [{ name: "x" }], "tasks"],
    ["with a task that is there already", "planner", parallel([task("a")]), "/append/0/tasks/0/id"],
    [
      "for an agent that nobody knows",
      "planner",
      parallel([task("b", { agent: "nobody" })]),
      "/append/0/tasks/0/agent",
    ],
  ])("%s fail it with class data", (_, agent, append, message) => {
    const { events } = decide(proposing(agent, append), look);
    expect(events[0]).toMatchObject({
      type: "task.failed",
      taskId: "a",
      data: { error: { class: "data", code: "invalid-plan" } },
    });
    expect(JSON.stringify(events[0])).toContain(message);
    expect(events.at(-1)?.type).toBe("workflow.failed");
  });
});

describe("completions that want no look", () => {
  const all = ["a", "b", "c", "d"];
  const scheduled = all.map((id) => lines.scheduled(id));
  const four = all.map((id) => task(id));
  test.each<[string, WorkflowState, number]>([
    ["all but the last of a phase that another waits for", running(parallel(four, [task("e")]), scheduled), 3],
    ["all but the last of the workflow", running(parallel(four), scheduled), 3],
    [
      "none, while a task waits for one alone",
      running(parallel(four, [task("e", { dependsOn: ["a"] })]), scheduled),
      0,
    ],
    ["none, while a task waits for its place", running(parallel(four), scheduled.slice(0, 3)), 0],
    [
      "one of two that a task waits for, each named twice",
      running(parallel(four, [task("e", { dependsOn: ["a", "a", "b", "b"] })]), scheduled),
      1,
    ],
    ["none, when all are settled", running(parallel([task("a")]), done("a")), 0],
  ])("%s", (_, state, quiet) => {
    expect(lookAhead(state).quiet).toBe(quiet);
  });
});
