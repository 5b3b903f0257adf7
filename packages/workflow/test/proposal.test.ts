import { decide, type EventBody, fold, type TaskRequest } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { done, lines, look, now, numbered, parallel, running, task, typesOf, workflowId } from "./log.ts";

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
    ["that are no phases", [{ name: "x" }], ["/append/0/parallel", "/append/0/tasks"]],
    ["with a task that is there already", parallel([task("a")]), ["/append/0/tasks/0/id"]],
    [
      "for agents that nobody knows",
      parallel([task("b", { agent: "nobody" }), task("c", { agent: "nobody" })]),
      ["/append/0/tasks/0/agent", "/append/0/tasks/1/agent"],
    ],
  ])("%s go back with all that is wrong, and spend no attempt", (_, append, paths) => {
    const { events, after } = decide(proposing("planner", append), look);
    expect(events.map(({ type }) => type)).toEqual(["task.retrying", "task.scheduled"]);
    const [sentBack] = events;
    expect(sentBack).toMatchObject({
      taskId: "a",
      attempt: 2,
      data: { error: { class: "data", code: "invalid-plan" }, notBefore: now, revision: { number: 1 } },
    });
    const told = after.tasks.get("a")?.revision?.problems.map(({ path }) => path);
    expect(told).toEqual(paths);
    expect(after.tasks.get("a")).toMatchObject({ attempt: 2, firstAttempt: 2 });
  });

  /** The planner as it stands once it was told so often, and appends nonsense all the same. */
  const stubborn = (times: number, request: Partial<TaskRequest> = {}) => {
    const append = parallel([task("a")]);
    let state = running(parallel([task("a", { agent: "planner", retry: { attempts: 1, backoffMs: 0 }, ...request })]));
    for (let time = 0; time < times; time++) {
      const attempt = time + 1;
      const proposed: EventBody = { type: "task.completed", taskId: "a", attempt, data: { outputBytes: 2, append } };
      state = fold(workflowId, state, numbered([lines.started("a", attempt, attempt), proposed], state.seq + 1));
      state = decide(state, look).after;
    }
    return state;
  };

  test("go back twice, and fail the task the third time, which is then told once more if somebody lets it try again", () => {
    expect(stubborn(2)).toMatchObject({ status: "running" });
    const state = stubborn(3);
    expect(state).toMatchObject({ status: "failed", error: { class: "data", code: "invalid-plan", taskId: "a" } });
    expect(state.tasks.get("a")).toMatchObject({ attempt: 3, revision: { number: 3 } });
    const again = fold(workflowId, state, numbered([{ type: "retry.requested", data: {} }], state.seq + 1));
    expect(again.tasks.get("a")).toMatchObject({ attempt: 4, revision: { number: 3 }, stage: { kind: "pending" } });
  });

  test.each([
    ["a person where the table says so", { recovery: { data: "escalate" as const } }, "waiting", { kind: "waiting" }],
    ["the fallback, which is told nothing", { fallback: "worker" }, "running", { kind: "pending" }],
  ])("are then for %s", (_, request, status, stage) => {
    const state = stubborn(3, request);
    expect(state).toMatchObject({ status });
    const planner = state.tasks.get("a");
    expect(planner?.stage).toMatchObject(status === "waiting" ? stage : { kind: "scheduled" });
    expect(planner?.revision?.number).toBe(status === "waiting" ? 3 : undefined);
  });

  test("by an agent that may not plan fail it at once: to be told so would not help", () => {
    const { events } = decide(proposing("worker", parallel([task("b")])), look);
    expect(events[0]).toMatchObject({
      type: "task.failed",
      data: { error: { class: "data", code: "invalid-plan", message: "agents of type worker may not append phases" } },
    });
    expect(events.at(-1)?.type).toBe("workflow.failed");
  });

  test("while what was done is undone fail the task that undoes, and nobody waits for ever", () => {
    const undone = task("a", { agent: "worker", compensate: { agent: "planner", input: null } });
    const state = running(parallel([undone], [task("b")]), [
      ...done("a"),
      { type: "cancel.requested", data: { compensate: true } },
    ]);
    const undoing = decide(state, look).after;
    const at = { taskId: "a~undo", attempt: 1, epoch: 1 };
    const proposed: EventBody[] = [
      { type: "task.started", ...at, data: { worker: "w", claim: 1 } },
      { type: "task.completed", ...at, data: { outputBytes: 2, append: parallel([task("c")]) } },
    ];
    const { events } = decide(fold(workflowId, undoing, numbered(proposed, undoing.seq + 1)), look);
    expect(events.map(({ type }) => type)).toContain("item.opened");
  });
});
