import { expect, test } from "vitest";
import { renderLive } from "../src/view/live.ts";
import { ProgressTracker } from "../src/view/progress.ts";

const at = "2026-01-01T00:00:00.000Z";
const now = Date.parse(at) + 1500;
let seq = 0;
const event = (type: string, data: unknown, taskId?: string) => ({
  seq: ++seq,
  type,
  at,
  data,
  ...(taskId !== undefined && { taskId, attempt: 1 }),
});
const planned = (ids: string[]) =>
  event("workflow.planned", {
    by: "planner",
    phases: [{ name: "work", parallel: true, tasks: ids.map((id) => ({ id, agent: "probe", input: null })) }],
    defaults: { attempts: 3, concurrency: 10 },
  });

test("the live view shows phases, tasks, workers and the time gone by", () => {
  const tracker = new ProgressTracker();
  tracker.apply(planned(["a", "b"]));
  tracker.apply(event("tasks.scheduled", { tasks: [{ taskId: "a", attempt: 1, dispatch: 1 }] }));
  tracker.apply(event("task.started", { worker: "host.7", claim: 1 }, "a"));
  tracker.apply(event("task.progressed", { message: "reading" }, "a"));
  const lines = renderLive(tracker.progress, now, 120).join("\n");
  for (const part of ["1.5 s", "0 of 2 tasks", "1 worker busy", "work", "● a", "host.7  reading", "· b"]) {
    expect(lines).toContain(part);
  }
});

test("a phase of many tasks stays a few lines high, and none is too wide", () => {
  const tracker = new ProgressTracker();
  const ids = Array.from({ length: 1000 }, (_, number) => `task-${number}`);
  tracker.apply(planned(ids));
  for (const id of ids.slice(0, 100)) tracker.apply(event("task.started", { worker: "w".repeat(90), claim: 1 }, id));
  const lines = renderLive(tracker.progress, now, 40);
  expect(lines.length).toBeLessThan(15);
  expect(lines.slice(1).every((line) => line.length <= 40)).toBe(true);
});

test("an event of a type that is not known changes nothing and says nothing", () => {
  const tracker = new ProgressTracker();
  expect(tracker.apply(event("handoff.requested", { to: "x" }))).toBeUndefined();
  expect(tracker.progress.phases).toEqual([]);
});

test("a failure is told with its reason", () => {
  const tracker = new ProgressTracker();
  tracker.apply(planned(["a"]));
  const error = { class: "data", code: "bad", message: "no such page" };
  expect(tracker.apply(event("task.failed", { error }, "a"))).toBe("a failed: no such page (bad)");
  expect(tracker.apply(event("workflow.failed", { error: { ...error, taskId: "a" } }))).toBe("failed: no such page");
  expect(tracker.progress.status).toBe("failed");
});

test("a request for one agent shows its task, which the log does not name", () => {
  const tracker = new ProgressTracker();
  tracker.apply(event("workflow.submitted", { tenant: "t", request: { input: "x", agent: "probe" } }));
  tracker.apply(event("workflow.planned", { by: "request", defaults: { attempts: 3, concurrency: 10 } }));
  expect(tracker.progress.phases).toMatchObject([{ name: "main", tasks: [{ id: "main", agent: "probe" }] }]);
});
