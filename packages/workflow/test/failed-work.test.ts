import { type EventBody, projectFailure } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { done, lines, numbered, parallel, planned, running, task } from "./log.ts";

const phases = parallel([task("a"), task("b", { agent: "pilot", input: { of: "{{input}}" } })]);
const error = { class: "data", code: "code", message: "message" } as const;
const story: EventBody[] = [
  ...done("a"),
  lines.scheduled("b"),
  lines.started("b"),
  lines.failed("b", "transient"),
  { type: "task.retrying", taskId: "b", attempt: 1, data: { error, notBefore: 0 } },
  lines.scheduled("b", 2),
  lines.started("b", 2, 2),
  { ...lines.failed("b", "data", 2), epoch: 2 } as EventBody,
];
const ended: EventBody = { type: "workflow.failed", data: { error: { ...error, taskId: "b" } } };
const logOf = (events: readonly EventBody[]) => numbered([...planned(phases), ...events]);

describe("failed work", () => {
  test("is shown with the task, its attempts and its last lines, and none of other tasks", () => {
    const failure = projectFailure(running(phases, [...story, ended]), logOf([...story, ended]));
    expect(failure).toMatchObject({
      status: "failed",
      error: { ...error, taskId: "b" },
      task: { id: "b", phase: "p0", agent: "pilot", attempts: 2, input: { of: "{{input}}" } },
    });
    expect(failure?.events.map(({ type }) => type)).toEqual([
      "workflow.started",
      "workflow.planned",
      "task.scheduled",
      "task.started",
      "task.failed",
      "task.retrying",
      "task.scheduled",
      "task.started",
      "task.failed",
      "workflow.failed",
    ]);
    expect(failure?.events.filter(({ taskId }) => taskId === "a")).toEqual([]);
  });

  test("of which no task is at fault is shown without one", () => {
    const aborted: EventBody = { type: "workflow.aborted", data: { error: { ...error, class: "deadline" } } };
    const failure = projectFailure(running(phases, [aborted]), logOf([aborted]));
    expect(failure).toMatchObject({ status: "aborted", error: { class: "deadline" } });
    expect(failure?.task).toBeUndefined();
  });

  test.each<[string, EventBody[]]>([
    ["still runs", story],
    ["goes on after a retry", [...story, ended, { type: "retry.requested", data: {} }]],
    ["was completed", [...done("a"), ...done("b"), { type: "workflow.completed", data: {} }]],
  ])("is none of what %s", (_, events) => {
    expect(projectFailure(running(phases, events), logOf(events))).toBeUndefined();
  });
});
