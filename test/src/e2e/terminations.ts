import { until } from "@flotilla/testkit";
import { expect } from "vitest";
import type { Fleet } from "./fleet.ts";
import { planOf, probes, together } from "./plans.ts";
import { eventsOf, idempotentSteps } from "./work.ts";

const graceMs = 10_000;

/** Steps of a task: together longer than a worker that stops lets its tasks run on. */
const steps = 16;
const stepMs = 250;

/**
 * Sends SIGTERM to agent workers that many times, each at a random moment of long tasks. Every worker ends by itself
 * within its grace; tasks are handed back or finished, go on where they were, and no attempt is spent.
 */
export async function terminateAtRandom(fleet: Fleet, times: number): Promise<void> {
  const ids: string[] = [];
  const submit = async () => {
    const plan = planOf(together("p", probes(6, "t", { steps: idempotentSteps(steps, stepMs) })));
    ids.push((await fleet.client.submit(plan)).id);
  };
  await submit();
  const asked = new Map<number, number>();
  while (asked.size < times) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 600));
    // One that has begun a task, for one that has just been started may not listen to signals yet.
    const busy = await workersOf(fleet, ids.slice(-2));
    const pid = fleet.pids("agent").find((one) => busy.has(one) && !asked.has(one));
    if (pid === undefined) continue;
    asked.set(pid, Date.now());
    process.kill(pid, "SIGTERM");
    const open = await Promise.all(ids.map((id) => fleet.client.get(id)));
    if (open.every(({ status }) => status === "completed")) await submit();
  }
  for (const [pid, askedAt] of asked) {
    const find = () => fleet.changes.find((change) => change.event === "exit" && change.pid === pid);
    const exit = await until(find, { timeoutMs: graceMs + 5000, what: `the end of worker ${pid}` });
    expect(exit).toMatchObject({ code: 0 });
    expect(Date.parse(exit.at) - askedAt).toBeLessThan(graceMs);
  }
  const views = await Promise.all(ids.map((id) => fleet.client.wait(id, { signal: AbortSignal.timeout(60_000) })));
  for (const view of views) {
    expect(view.status).toBe("completed");
    expect(new Set(view.tasks.map(({ attempt }) => attempt))).toEqual(new Set([1]));
  }
  const types = (await eventsOf(fleet, ids)).map(({ type }) => type);
  expect(types).not.toContain("task.crashed");
  expect(types.filter((type) => type === "task.released").length).toBeGreaterThan(0);
  const effects = (await fleet.effects()).filter(({ workflowId }) => ids.includes(workflowId));
  const applied = effects.filter((effect) => effect.applied);
  expect(new Set(applied.map(({ key }) => key)).size).toBe(applied.length);
  expect(applied).toHaveLength(views.length * 6 * steps);
}

/** The processes that have begun tasks of these workflows. */
async function workersOf(fleet: Fleet, ids: readonly string[]): Promise<Set<number>> {
  const events = await eventsOf(fleet, ids);
  // A worker is named by its host and its process.
  return new Set(
    events.flatMap(({ type, data }) =>
      type === "task.started" ? [Number(/\d+$/.exec(String(Object(data).worker)))] : [],
    ),
  );
}
