import {
  SubmitView,
  TaskStatus,
  TaskView,
  WaitingFor,
  WorkflowStatus,
  WorkflowSummary,
  WorkflowView,
} from "@flotilla/workflow";
import { describe, expect, test } from "vitest";

const at = "2026-01-01T00:00:00.000Z";
const task = { id: "a", phase: "p", agent: "probe", status: "running", attempt: 1, dependsOn: [], outputBytes: 0 };
const summary = {
  id: "wf_00_00000000000000000000000000",
  status: "running",
  priority: "normal",
  tags: {},
  createdAt: at,
  updatedAt: at,
};
const workflow = {
  ...summary,
  input: null,
  plan: null,
  phase: null,
  tasks: [task],
  handoffs: [],
  compensation: "none",
  cost: { usd: 0, tokens: { input: 0, output: 0 } },
};
const submitted = { id: "i", status: "queued", links: { self: "/s", events: "/e", cancel: "/c" } };

describe("what the API shows", () => {
  test("has the statuses that the contract names", () => {
    expect(WorkflowStatus.options).toEqual(
      "queued planning running waiting compensating completed failed aborted cancelled".split(" "),
    );
    expect(TaskStatus.options).toEqual(
      "pending queued running waiting completed failed cancelled compensated".split(" "),
    );
  });

  test.each([
    ["task", TaskView, task],
    ["workflow in a list", WorkflowSummary, summary],
    ["workflow", WorkflowView, workflow],
    ["answer to a submit", SubmitView, submitted],
  ] as const)("of a %s is whole: without any of its fields it is none", (_, shape, whole) => {
    expect(shape.parse(whole)).toMatchObject(whole);
    for (const field of Object.keys(whole)) {
      // The input of a workflow may be any JSON, and so is not looked at.
      if (field === "input") continue;
      const { [field]: _left, ...rest } = whole as Record<string, unknown>;
      expect(shape.safeParse(rest).success, field).toBe(false);
    }
  });

  test.each([
    { cost: { usd: 0 } },
    { cost: { usd: 0, tokens: { input: 0 } } },
    { compensation: "some" },
    { createdAt: "2026-01-01" },
    { tasks: [{ ...task, status: "odd" }] },
    { error: { code: "c", message: "m" } },
  ])("of a workflow is refused with %j", (part) => {
    expect(WorkflowView.safeParse({ ...workflow, ...part }).success).toBe(false);
  });

  test.each(["none", "done", "failed"])("tells that a compensation is %s", (compensation) => {
    expect(WorkflowView.parse({ ...workflow, compensation }).compensation).toBe(compensation);
  });

  test.each(["dependency", "concurrency", "retry-backoff", "worker"])("tells that a task waits for %s", (reason) => {
    expect(WaitingFor.parse({ reason, since: at, until: at })).toEqual({ reason, since: at, until: at });
    expect(WaitingFor.safeParse({ reason }).success).toBe(false);
  });

  test("has links to go on by", () => {
    expect(SubmitView.safeParse({ ...submitted, links: {} }).success).toBe(false);
  });
});
