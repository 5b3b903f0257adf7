import type { WorkflowRequestInput } from "@flotilla/client";

/** A workflow to submit, and what must come of it. */
export interface Work {
  request: WorkflowRequestInput;
  tasks: readonly string[];
  /** Keys of the effects of a workflow with that id. */
  effectsOf(id: string): string[];
}

/** How long the step of a task takes once its effect has happened, in ms: a kill in between must not repeat it. */
export interface Pace {
  firstMs: number;
  secondMs: number;
}

/** An output that holds the one of the first task. */
const withFirst = "{{tasks.first.output.output}} two";

/** Above what Redis keeps of an output. */
const bulkyBytes = 50_000;

/** Longer than such a task takes on any machine, and shorter than the step of a clock. */
const timeoutMs = 55_000;

/** Two tasks, the second with the output of the first, each with one effect on the world. */
export function twoTasks({ firstMs, secondMs }: Pace, agent = "probe"): Work {
  return inARow([
    { id: "first", agent, input: { ...effect(firstMs), output: "one" } },
    { id: "second", agent, input: { ...effect(secondMs), output: withFirst } },
  ]);
}

/** The same under a time limit; the first attempt of the first task fails once its effect has happened. */
export function retriedTasks(pace: Pace, backoffMs: number): Work {
  const retry = { attempts: 2, backoffMs };
  const fail = [{ attempt: 1, class: "transient" }];
  return inARow([
    { id: "first", agent: "probe", timeoutMs, retry, input: { ...effect(pace.firstMs), fail, output: "one" } },
    { id: "second", agent: "probe", timeoutMs, input: { ...effect(pace.secondMs), output: withFirst } },
  ]);
}

/** Two tasks whose outputs are blobs: the second hands the one of the first on. */
export function bulkyTasks({ firstMs, secondMs }: Pace): Work {
  return inARow([
    { id: "first", agent: "probe", input: { ...effect(firstMs), outputBytes: bulkyBytes } },
    { id: "second", agent: "probe", input: { ...effect(secondMs), output: withFirst } },
  ]);
}

function effect(sleepMs: number): { steps: { tool: string; sleepMs: number }[] } {
  return { steps: [{ tool: "idempotent", sleepMs }] };
}

type TaskInput = NonNullable<WorkflowRequestInput["plan"]>["phases"][number]["tasks"][number];

function inARow(tasks: TaskInput[]): Work {
  return {
    request: { input: "chaos", plan: { phases: [{ name: "row", parallel: false, tasks }] } },
    tasks: tasks.map(({ id }) => id),
    effectsOf: (id) => tasks.map((task) => `${id}/${task.id}/0`),
  };
}
