import type { EventView } from "@flotilla/workflow";
import { expect } from "vitest";
import { collect } from "./collect.ts";
import type { Fleet } from "./fleet.ts";
import { inTurn, planOf, probe, probes, together } from "./plans.ts";

/** That many steps with an effect each. */
export function idempotentSteps(count: number, sleepMs: number): { tool: "idempotent"; sleepMs: number }[] {
  return Array.from({ length: count }, () => ({ tool: "idempotent", sleepMs }));
}

/** Six tasks of four steps, half of them side by side. */
const work = planOf(
  together("fan", probes(3, "t", { steps: idempotentSteps(4, 60) })),
  inTurn("row", [
    ...probes(2, "r", { steps: idempotentSteps(4, 30) }),
    probe("end", { steps: idempotentSteps(4, 30), output: "{{tasks.t2.output.output}}" }),
  ]),
);

/** Effects that one such workflow has. */
export const stepsOfWork = 24;

/** Submits that many workflows with effects, all at once; their ids. */
export async function submitWork(fleet: Fleet, count: number): Promise<string[]> {
  const submitted = await Promise.all(Array.from({ length: count }, () => fleet.client.submit(work)));
  return submitted.map(({ id }) => id);
}

/** How many times the steps of these workflows have been at the world, so far. */
export async function effectsOf(fleet: Fleet, ids: readonly string[]): Promise<number> {
  return (await fleet.effects()).filter(({ workflowId }) => ids.includes(workflowId)).length;
}

/** Everything in the logs of these workflows so far. */
export async function eventsOf(fleet: Fleet, ids: readonly string[]): Promise<EventView[]> {
  const logs = await Promise.all(ids.map((id) => collect(fleet.client.events(id))));
  return logs.flat();
}

/** Waits for the end of workflows from `submitWork`: all complete, at the first attempt, every effect applied once. */
export async function expectDoneOnce(fleet: Fleet, ids: readonly string[]): Promise<void> {
  const views = await Promise.all(ids.map((id) => fleet.client.wait(id)));
  for (const view of views) {
    expect(view).toMatchObject({ status: "completed", result: expect.anything() });
    expect(new Set(view.tasks.map(({ attempt }) => attempt))).toEqual(new Set([1]));
    const log = [];
    for await (const event of fleet.client.events(view.id)) log.push(event);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, at) => at + 1));
    const completed = log.filter(({ type }) => type === "task.completed").map(({ taskId }) => taskId);
    expect(new Set(completed)).toEqual(new Set(view.tasks.map(({ id }) => id)));
    expect(completed).toHaveLength(view.tasks.length);
  }
  const applied = (await fleet.effects()).filter((effect) => effect.applied && ids.includes(effect.workflowId));
  expect(applied).toHaveLength(ids.length * stepsOfWork);
  expect(new Set(applied.map(({ key }) => key)).size).toBe(applied.length);
}
