import type { AgentView, TaskView, WaitingFor, WorkflowView } from "@flotilla/workflow";
import { WaitingFor as Schema } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { renderLive } from "../src/view/live.ts";
import { ProgressTracker } from "../src/view/progress.ts";
import { notableWaits, waitWords } from "../src/view/waits.ts";

const since = "2026-01-01T00:00:00.000Z";
const until = "2026-01-01T00:01:00.000Z";

function taskOf(waitingFor: WaitingFor, more: Partial<TaskView> = {}): TaskView {
  const task: TaskView = {
    id: "a",
    phase: "main",
    agent: "research",
    status: "queued",
    attempt: 1,
    dependsOn: [],
    outputBytes: 0,
  };
  return { ...task, waitingFor, ...more };
}

const workflowOf = (tasks: TaskView[], status: WorkflowView["status"] = "running"): WorkflowView => ({
  id: "wf_00_00000000000000000000000000",
  status,
  input: "",
  plan: { phases: [] },
  phase: "main",
  tasks,
  handoffs: [],
  compensation: "none",
  cost: { usd: 0, tokens: { input: 0, output: 0 } },
  priority: "normal",
  tags: {},
  createdAt: since,
  updatedAt: since,
});

const agentOf = (more: Partial<AgentView>): AgentView => ({
  type: "research",
  description: "",
  input: null,
  output: null,
  tools: [],
  permissions: { tools: [], mayPlan: false },
  workers: 0,
  knownWorkers: 2,
  backlog: 7,
  paused: false,
  ...more,
});

const words = (waitingFor: WaitingFor, agents: AgentView[] = [], workflow?: WorkflowView) => {
  const task = taskOf(waitingFor);
  return waitWords(task, workflow ?? workflowOf([task]), agents);
};

describe("what a task waits for is said in words", () => {
  test.each(Schema.shape.reason.options)("for the reason %s", (reason) => {
    expect(words({ reason, since, until, item: "item.7" })).toMatch(/^(waits|its worker) .{5}/);
  });

  test("with the workers that live, of those that are known", () => {
    const waits: WaitingFor = { reason: "worker", since };
    expect(words(waits, [agentOf({})])).toBe("waits for a research worker: 0 of 2 live");
    expect(words(waits, [agentOf({ workers: 2 })])).toBe(
      "waits for a research worker: 2 of 2 live, 7 tasks waiting or running",
    );
    expect(words(waits, [])).toBe("waits for a research worker: none has ever registered");
  });

  test("with the tasks before it that are not done", () => {
    const before = ["x", "y"].map((id) => taskOf({ reason: "worker", since }, { id }));
    const done = taskOf({ reason: "worker", since }, { id: "z", endedAt: since });
    const task = taskOf({ reason: "dependency", since }, { dependsOn: ["x", "y", "z"] });
    expect(waitWords(task, workflowOf([...before, done, task]), [])).toBe("waits for x, y");
  });

  test("and is nothing while it runs", () => {
    const { waitingFor: _, ...runs } = taskOf({ reason: "worker", since });
    expect(waitWords(runs, workflowOf([runs]), [])).toBeUndefined();
  });
});

test("whoever follows a workflow hears of a wait once it lasts, and once as long as it stays the same", () => {
  const workflow = workflowOf([
    taskOf({ reason: "worker", since }),
    taskOf({ reason: "dependency", since }, { id: "b" }),
  ]);
  expect(notableWaits(workflow, [agentOf({})], Date.parse(since) + 2999)).toEqual(new Map());
  const waits = notableWaits(workflow, [agentOf({})], Date.parse(since) + 3000);
  expect(waits).toEqual(new Map([["a", "waits for a research worker: 0 of 2 live"]]));

  const tracker = new ProgressTracker();
  const phases = [{ name: "main", parallel: true, tasks: [{ id: "a", agent: "research", input: "" }] }];
  const defaults = { attempts: 3, concurrency: 10 };
  tracker.apply({ seq: 1, at: since, type: "workflow.planned", data: { by: "request", phases, defaults } });
  expect(tracker.wait(waits)).toEqual(["a waits for a research worker: 0 of 2 live"]);
  expect(tracker.wait(waits)).toEqual([]);
  const live = () => renderLive(tracker.progress, Date.parse(since), 120).join("\n");
  expect(live()).toContain("0 of 2 live");
  const started = { worker: "w", claim: 1 };
  tracker.apply({ seq: 2, at: since, type: "task.started", taskId: "a", attempt: 1, epoch: 1, data: started });
  expect(live()).not.toContain("live");
});
