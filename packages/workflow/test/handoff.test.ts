import { type AgentCatalog, decide, type EventBody, fold, type Json, projectWorkflow } from "@flotilla/workflow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { begin, lines, numbered, parallel, planned, running, task, workflowId } from "./log.ts";

const schema: Json = { type: "object", properties: { berth: { type: "integer" } }, required: ["berth"] };
const tools = (...names: string[]) => names.map((name) => ({ name, description: "" }));
const agents: AgentCatalog = new Map([
  ["worker", { mayPlan: false, tools: tools("read", "write") }],
  ["pilot", { mayPlan: true, tools: tools("write", "steer"), input: schema }],
]);
const look = {
  now: begin + 1000,
  expired: [],
  missing: [],
  isRepeated: false,
  agents,
  defaults: { attempts: 3, concurrency: 100 },
  handoffTimeoutMs: 1234,
};

const requested = (payload: Json = { berth: 7 }, to = "pilot", at = { attempt: 1, epoch: 1 }): EventBody => ({
  type: "handoff.requested",
  taskId: "a",
  ...at,
  data: { to, payload, step: "#handoff/pilot", inputHash: "h" },
});
/** Asked for by line 6. */
const asked = (more: EventBody[] = [], request = requested()) =>
  running(parallel([task("a")]), [lines.scheduled("a"), lines.started("a"), request, ...more]);
const accepted = () => decide(asked(), look).events[0] ?? requested();
const target = "handoff-6";
const typesOf = (state: ReturnType<typeof asked>) => decide(state, look).events.map(({ type }) => type);
const failedTarget = (failure: "data" | "critical"): EventBody[] => [
  lines.scheduled(target),
  lines.started(target),
  lines.failed(target, failure),
];

describe("a handoff", () => {
  test("that is accepted makes a task, with the timeout and the retries of the contract and no more permissions than both", () => {
    const { events, dispatches, after } = decide(asked(), look);
    expect(events).toMatchObject([
      {
        type: "handoff.accepted",
        taskId: "a",
        data: {
          handoff: 6,
          task: target,
          depth: 1,
          grant: { tools: ["write"], mayPlan: false },
          timeoutMs: 1234,
          attempts: 4,
          backoffMs: 2000,
        },
      },
      { type: "task.scheduled", taskId: target },
    ]);
    expect(dispatches).toMatchObject([{ taskId: target, agent: "pilot" }]);
    expect(projectWorkflow(after, () => null)).toMatchObject({
      status: "running",
      handoffs: [{ id: 6, from: "a", to: "pilot", task: target, status: "accepted" }],
      tasks: [
        { status: "waiting", waitingFor: { reason: "handoff" } },
        { id: target, status: "queued" },
      ],
    });
  });

  test("that is done gives control back with the output, to the same attempt", () => {
    const done = [lines.scheduled(target), lines.started(target), lines.completed(target, "moored")];
    const { events, gifts, after } = decide(asked([accepted(), ...done]), look);
    expect(events.map(({ type }) => type)).toEqual(["handoff.completed", "task.scheduled"]);
    expect(gifts).toMatchObject([{ taskId: "a", gift: { step: "#handoff/pilot", given: { output: target } } }]);
    expect(after.tasks.get("a")).toMatchObject({ attempt: 1, stage: { kind: "scheduled" } });
  });

  test.each(["data", "critical"] as const)(
    "whose task fails with %s gives control back with the reason, and ends nothing",
    (failure) => {
      const { events, gifts } = decide(asked([accepted(), ...failedTarget(failure)]), look);
      expect(events.map(({ type }) => type)).toEqual(["handoff.failed", "handoff.rolled_back", "task.scheduled"]);
      expect(gifts).toMatchObject([{ taskId: "a", gift: { given: { failure: { class: failure } } } }]);
    },
  );

  test("whose task fails for a moment is tried again by it", () => {
    expect(
      typesOf(asked([accepted(), lines.scheduled(target), lines.started(target), lines.failed(target, "transient")])),
    ).toEqual(["task.retrying"]);
  });

  const own = running(parallel([task("a", { agent: "pilot", input: { berth: 7 } })]), [
    lines.scheduled("a"),
    lines.started("a"),
    requested(),
  ]);
  test.each([
    ["to nobody", asked([], requested({}, "nobody")), "handoff-unknown-agent"],
    ["of what the target does not take", asked([], requested({ berth: "seven" })), "handoff-invalid-payload"],
    ["of too much", asked([], requested({ berth: 1, x: "x".repeat(70_000) })), "handoff-too-large"],
    ["of the very work that it has itself", own, "handoff-cycle"],
  ])("%s is refused, and rolled back with the reason", (_, state, code) => {
    const { events, gifts } = decide(state, look);
    expect(events.map(({ type }) => type)).toEqual(["handoff.failed", "handoff.rolled_back", "task.scheduled"]);
    expect(events[0]).toMatchObject({ data: { handoff: 6, error: { class: "data", code } } });
    expect(gifts).toMatchObject([{ gift: { given: { failure: { code } } } }]);
  });

  describe("between two types", () => {
    /** Each hands its work on to the next in turn, with another payload each time; the last word is open. */
    const chain = (...types: string[]) => {
      const [first = "", ...others] = types;
      let log: EventBody[] = [lines.scheduled("a"), lines.started("a")];
      let taskId = "a";
      for (const [index, to] of others.entries()) {
        const asks = { ...requested({ berth: index }, to), taskId } as EventBody;
        log = [...log, asks];
        const state = running(parallel([task("a", { agent: first })]), log);
        const [accepted] = decide(state, look).events;
        if (accepted?.type !== "handoff.accepted") return state;
        taskId = accepted.data.task;
        log = [...log, accepted, lines.scheduled(taskId), lines.started(taskId)];
      }
      return running(parallel([task("a", { agent: first })]), log);
    };
    const refusal = (state: ReturnType<typeof chain>) => decide(state, look).events[0];

    test("to ask back is let pass, and to send the work there once more is refused, whatever it says by now", () => {
      expect(refusal(chain("worker", "pilot", "worker"))).toBeUndefined();
      expect(refusal(chain("worker", "pilot", "worker", "pilot"))).toMatchObject({
        type: "handoff.failed",
        data: { error: { class: "data", code: "handoff-back-and-forth" } },
      });
    });

    test("a type hands to its own as deep as any", () => {
      const own = Array.from({ length: 6 }, () => "pilot");
      expect(refusal(chain(...own))).toBeUndefined();
      expect(refusal(chain(...own, "pilot"))).toMatchObject({ data: { error: { code: "handoff-too-deep" } } });
    });
  });

  test("that its source does not wait for any more takes its task along", () => {
    const gone: EventBody = {
      type: "task.failed",
      taskId: "a",
      attempt: 1,
      data: { error: { class: "deadline", code: "c", message: "" } },
    };
    const state = running(parallel([task("a", { onFailure: "continue" })]), [
      lines.scheduled("a"),
      lines.started("a"),
      requested(),
      accepted(),
      lines.scheduled(target),
      lines.started(target),
      gone,
    ]);
    const { events, claims } = decide(state, look);
    expect(events.map(({ type }) => type)).toEqual([
      "task.cancelled",
      "handoff.failed",
      "handoff.rolled_back",
      "workflow.completed",
    ]);
    expect(claims).toEqual([{ kind: "revoke", taskId: target, epoch: 1 }]);
  });
});

describe("what changes nothing", () => {
  const stale: [string, EventBody][] = [
    ["an older claim asks", requested({ berth: 1 }, "pilot", { attempt: 1, epoch: 0 })],
    ["a claim that is not there asks", requested({ berth: 1 }, "pilot", { attempt: 1, epoch: 9 })],
    ["another attempt asks", requested({ berth: 1 }, "pilot", { attempt: 2, epoch: 1 })],
  ];
  test.each(stale)("%s", (_, event) => {
    const before = running(parallel([task("a")]), [lines.scheduled("a"), lines.started("a")]);
    const after = running(parallel([task("a")]), [lines.scheduled("a"), lines.started("a"), event]);
    expect([after.handoffs, after.tasks]).toEqual([before.handoffs, before.tasks]);
  });

  const error = { class: "data", code: "c", message: "" } as const;
  const at = { taskId: "a", attempt: 1 };
  const forged: EventBody[] = [
    { type: "handoff.completed", ...at, data: { handoff: 6 } },
    { type: "handoff.completed", ...at, data: { handoff: 99 } },
    { type: "handoff.rolled_back", ...at, data: { handoff: 6, error } },
    { type: "handoff.failed", ...at, data: { handoff: 99, error } },
    { type: "handoff.requested", ...at, epoch: 1, data: { to: "pilot", payload: 1, step: "x", inputHash: "h" } },
  ];
  test("a word that comes too early, again, forged or for a handoff that is not there, in any order", () => {
    const orderly = asked([accepted()]);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...forged, accepted()), { maxLength: 12 }), (noise) => {
        const log = [
          ...planned(parallel([task("a")])),
          lines.scheduled("a"),
          lines.started("a"),
          requested(),
          accepted(),
        ];
        const noisy = fold(workflowId, undefined, numbered([...log, ...noise]));
        expect(noisy.handoffs).toEqual(orderly.handoffs);
        expect([...noisy.tasks.values()].map(({ id, stage }) => [id, stage.kind])).toEqual(
          [...orderly.tasks.values()].map(({ id, stage }) => [id, stage.kind]),
        );
      }),
    );
  });

  test("a second end of one that is over", () => {
    const done = [accepted(), lines.scheduled(target), lines.started(target), lines.completed(target)];
    const over: EventBody = { type: "handoff.completed", ...at, data: { handoff: 6 } };
    const once = asked([...done, over]);
    for (const again of [over, ...forged.slice(2, 4)]) {
      expect(asked([...done, over, again]).handoffs).toEqual(once.handoffs);
    }
  });
});
