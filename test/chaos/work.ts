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

/** Two tasks, the second with the output of the first, each with one effect on the world. */
export function twoTasks({ firstMs, secondMs }: Pace, agent = "probe"): Work {
  const task = (id: string, sleepMs: number, output: string) => ({
    id,
    agent,
    input: { steps: [{ tool: "idempotent", sleepMs }], output },
  });
  const tasks = [task("first", firstMs, "one"), task("second", secondMs, "{{tasks.first.output.output}} two")];
  return {
    request: { input: "chaos", plan: { phases: [{ name: "row", parallel: false, tasks }] } },
    tasks: tasks.map(({ id }) => id),
    effectsOf: (id) => tasks.map((task) => `${id}/${task.id}/0`),
  };
}
