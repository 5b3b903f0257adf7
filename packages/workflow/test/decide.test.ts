import {
  decide,
  type EventBody,
  fold,
  jobPriority,
  lookEveryMs,
  isolationDeaths,
  lookAhead,
  type WorkflowState,
} from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import {
  begin,
  done,
  lines,
  look,
  now,
  numbered,
  parallel,
  planned,
  running,
  task,
  typesOf,
  workflowId,
} from "./log.ts";

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
    expect(dispatches).toEqual([{ taskId: id, agent, attempt: 1, dispatch: 1, priority: "normal", deaths: 0 }]);
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

const claimed = [lines.scheduled("a"), lines.started("a")];
const two = (more = {}) => parallel([task("a", more), task("b")]);

describe("failures", () => {
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

  const crashed = (deaths: number, isolated?: string): EventBody => ({
    type: "task.crashed",
    taskId: "a",
    attempt: 1,
    epoch: 1,
    data: { deaths, ...(isolated === undefined ? {} : { isolated }) },
  });

  test.each([1, 2, 7])(
    "after %i deaths of its worker a task is dispatched again, and its job says how many",
    (deaths) => {
      const state = running(parallel([task("a")]), [
        ...claimed,
        crashed(deaths - 1),
        lines.scheduled("a", 1, 2),
        lines.started("a", 1, 2),
      ]);
      const { events, dispatches } = decide(state, { ...look, expired: [{ taskId: "a", epoch: 2 }] });
      expect(events.map(({ type }) => type)).toEqual(["task.crashed", "task.scheduled"]);
      expect(dispatches).toMatchObject([{ attempt: 1, dispatch: 3, deaths }]);
    },
  );

  test("a death in a process of its own asks nobody where the same look ends what is open", () => {
    const { events } = decide(
      running(parallel([task("a"), task("b", { compensate: { agent: "worker", input: "" } }), task("c")]), [
        ...claimed,
        ...done("b"),
        crashed(3, "SIGKILL"),
        lines.scheduled("c"),
        lines.started("c"),
        lines.failed("c", "critical"),
      ]),
      look,
    );
    expect(events.map(({ type }) => type)).toEqual(["task.cancelled", "workflow.compensating", "task.scheduled"]);
  });

  test("a death in a process of its own quarantines the task, and the workflow waits for a person", () => {
    const { events, after } = decide(running(parallel([task("a")]), [...claimed, crashed(3, "SIGKILL")]), look);
    const detail = { deaths: 3, reason: "SIGKILL" };
    expect(events).toMatchObject([
      { type: "task.quarantined", taskId: "a", data: detail },
      { type: "item.opened", taskId: "a", data: { kind: "quarantine", detail } },
      { type: "workflow.waiting" },
    ]);
    expect(after).toMatchObject({ status: "waiting" });
    expect(after.tasks.get("a")?.stage).toMatchObject({ kind: "waiting", about: "quarantine" });
  });
});

describe("what waits for a person", () => {
  const doubt = { step: "s", tool: "s", key: "k", argumentsBytes: 2, argumentsHash: "h" };
  const opened = (taskId: string): EventBody => ({
    type: "item.opened",
    taskId,
    attempt: 1,
    epoch: 1,
    data: { kind: "outcome-unknown", summary: "", detail: doubt },
  });
  const quarantined: EventBody[] = [
    { type: "task.crashed", taskId: "a", attempt: 1, epoch: 1, data: { deaths: 3, isolated: "SIGKILL" } },
    { type: "task.quarantined", taskId: "a", attempt: 1, data: { deaths: 3, reason: "SIGKILL" } },
    {
      type: "item.opened",
      taskId: "a",
      attempt: 1,
      data: { kind: "quarantine", summary: "", detail: { deaths: 3, reason: "SIGKILL" } },
    },
  ];
  const settled = (item: number, decision: "happened" | "not-happened" | "retry" | "fail"): EventBody => ({
    type: "item.settled",
    taskId: "a",
    attempt: 1,
    data: { item: `${workflowId}.${item}`, decision, by: "00000000" },
  });
  /** The place of the line that opens the item: after three of the plan, and two of the claim. */
  const parked = (phases = parallel([task("a")], [task("z")]), more: EventBody[] = []) =>
    running(phases, [...claimed, opened("a"), ...more]);

  test("parks the workflow once nothing else can go on", () => {
    const { events, after, dispatches } = decide(parked(), look);
    expect(events).toEqual([{ type: "workflow.waiting", data: {} }]);
    expect([after.status, dispatches]).toEqual(["waiting", []]);
    expect(decide(after, look).events).toEqual([]);
  });

  test.each<[string, WorkflowState]>([
    ["another runs", parked(two(), [lines.scheduled("b"), lines.started("b")])],
    [
      "another is to be tried again",
      parked(two(), [lines.scheduled("b"), lines.started("b"), lines.failed("b", "transient")]),
    ],
    [
      "another was handed back",
      parked(two(), [
        lines.scheduled("b"),
        lines.started("b"),
        { type: "task.released", taskId: "b", attempt: 1, epoch: 1, data: { reason: "" } },
      ]),
    ],
  ])("does not park the workflow while %s", (_, state) => {
    expect(decide(state, look).after.status).toBe("running");
  });

  test("holds no place of those that run at once", () => {
    const state = running(two(), [...claimed, opened("a")], { concurrency: 1 });
    expect(decide(state, look)).toMatchObject({ dispatches: [{ taskId: "b" }], after: { status: "running" } });
  });

  test.each(["happened", "not-happened"] as const)("goes on as the same attempt when it %s", (decision) => {
    const waiting = parked(undefined, [{ type: "workflow.waiting", data: {} }, settled(6, decision)]);
    const { events, claims, dispatches } = decide(waiting, look);
    expect(events.map(({ type }) => type)).toEqual(["workflow.resumed", "task.scheduled"]);
    expect(claims).toMatchObject([{ kind: "reopen", attempt: 1, dispatch: 2 }]);
    expect(dispatches).toMatchObject([{ attempt: 1, dispatch: 2 }]);
  });

  test("fails for good when a person gives it up, whatever attempts are left", () => {
    const { events } = decide(parked(undefined, [settled(6, "fail")]), look);
    expect(events.map(({ type }) => type)).toEqual(["task.failed", "task.cancelled", "workflow.failed"]);
    expect(events[0]).toMatchObject({ data: { error: { class: "unknown", code: "outcome-unknown" } } });
  });

  test("runs again alone, as another attempt, when a person lets a quarantined task try", () => {
    const state = running(parallel([task("a")]), [...claimed, ...quarantined, settled(8, "retry")]);
    const { claims, dispatches } = decide(state, look);
    expect(claims).toMatchObject([{ kind: "reopen", attempt: 2, dispatch: 1 }]);
    expect(dispatches).toMatchObject([{ attempt: 2, dispatch: 1, deaths: isolationDeaths }]);
  });

  test("is poison when a person gives a quarantined task up", () => {
    const state = running(parallel([task("a")]), [...claimed, ...quarantined, settled(8, "fail")]);
    expect(decide(state, look).events[0]).toMatchObject({
      type: "task.failed",
      data: { error: { class: "poison", code: "worker-died" } },
    });
  });

  test("is settled by a word on its own item only", () => {
    const state = parked(undefined, [settled(5, "fail")]);
    expect(state.tasks.get("a")?.stage).toMatchObject({ kind: "waiting", item: `${workflowId}.6` });
  });

  test("ends with its workflow", () => {
    const state = parked(undefined, [{ type: "cancel.requested", data: {} }]);
    expect(typesOf(state)).toEqual(["task.cancelled", "task.cancelled", "workflow.cancelled"]);
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
