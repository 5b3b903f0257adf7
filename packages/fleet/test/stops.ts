import { createMetrics } from "@flotilla/runtime";
import { until } from "@flotilla/testkit";
import { expect } from "vitest";
import { phase, planOf, story, task, type TestFleet } from "./fleet.ts";

const stepsOfTask = 10;
const stepMs = 40;

/** Longer than a worker that is told to stop may take: the drain, the hand-back, and the jobs that are moved. */
const stopMs = 8000;

/**
 * Stops workers that many times, each at a random moment, with another one always there; each has tasks that take
 * longer than a stopping worker lets them. Every task ends with its first attempt, each stop costs it a step at most.
 */
export async function stopAtRandom(fleet: TestFleet, times: number): Promise<void> {
  const runs = new Map<string, number>();
  fleet.acts.set("steps", async ({ workflowId, taskId }, journal, signal) => {
    const done = new Set((await journal.load()).map(({ key }) => key));
    for (let step = 0; step < stepsOfTask; step++) {
      if (done.has(`${step}`)) continue;
      signal.throwIfAborted();
      const name = `${workflowId}/${taskId}/${step}`;
      runs.set(name, (runs.get(name) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, stepMs));
      await journal.record({ key: `${step}`, inputHash: "", result: step });
    }
    return { kind: "completed", output: taskId };
  });
  const tasks = Array.from({ length: 5 }, (_, n) => task(`t${n}`, { act: "steps" }));
  const ids = [await fleet.submit(planOf(phase("p", tasks)))];
  const start = async (n: number) => {
    const worker = fleet.worker(`w${n}`, "worker", createMetrics());
    await worker.start();
    return worker;
  };
  let workers = [await start(0), await start(1)];
  for (let n = 0; n < times; n++) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
    const [leaving, ...staying] = workers;
    const startedAt = performance.now();
    await leaving?.stop();
    expect(performance.now() - startedAt).toBeLessThan(stopMs);
    workers = [...staying, await start(n + 2)];
    const view = await fleet.store.get("acme", ids.at(-1) ?? "");
    if (view?.status === "completed") ids.push(await fleet.submit(planOf(phase("p", tasks))));
  }
  const ends = await Promise.all(ids.map((id) => fleet.end(id, 60_000)));
  for (const worker of workers) await worker.stop();
  const stories = ends.flatMap((run) => tasks.map(({ id }) => story(run, id)));
  expect(ends.map(({ view }) => view.status)).toEqual(ids.map(() => "completed"));
  expect(new Set(ends.flatMap(({ view }) => view.tasks.map(({ attempt }) => attempt)))).toEqual(new Set([1]));
  expect(stories.flat()).not.toContain("task.crashed");
  const released = stories.flat().filter((type) => type === "task.released").length;
  expect(released).toBeGreaterThan(0);
  const repeated = [...runs.values()].reduce((sum, count) => sum + count - 1, 0);
  expect(repeated).toBeLessThanOrEqual(released);
  await until(() => runs.size === ids.length * tasks.length * stepsOfTask);
}
