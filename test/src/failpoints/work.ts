import { type Client, createClient } from "@flotilla/client";
import type { EventView } from "@flotilla/workflow";
import { expect } from "vitest";
import { collect } from "../e2e/collect.ts";
import { inTurn, planOf, together } from "../e2e/plans.ts";
import { idempotentSteps } from "../e2e/work.ts";

/** Workflows that are under way at the same time. */
const atOnce = 6;

/** Every so many-th workflow is cancelled. */
const cancelledEvery = 6;

/** Every so many-th workflow has a task that outlasts the time which a worker has to stop. */
const slowEvery = 3;

/** Above what Redis holds of an output, so that it is a blob. */
const largeBytes = 40_000;

/** Below it, and three of them above what a claim answers itself. */
const wideBytes = 30_000;

const stepsOfTask = 2;

/** A line of the effect log, as far as it is looked at here. */
export interface Effect {
  workflowId: string;
  taskId: string;
  key: string;
  applied: boolean;
}

interface Ended {
  id: string;
  isCancelled: boolean;
  events: EventView[];
}

function deed(id: string, told: object = {}, rest: object = {}) {
  return { id, agent: "deed", input: { steps: idempotentSteps(stepsOfTask, 20), ...told }, ...rest };
}

const doers = ["large", "slow", "reads", "again", "plans", "planned"];
const givers = ["wide0", "wide1", "wide2"];

/** Tasks side by side and in turn, outputs of every size, a task that is tried again, and one that plans another. */
function plan(isSlow: boolean) {
  const wide = givers.map((id) => deed(id, { outputBytes: wideBytes, steps: [] }));
  const fail = [{ attempt: 1, class: "transient" }];
  const append = [together("more", [deed("planned")])];
  return planOf(
    together("fan", [
      deed("large", { outputBytes: largeBytes }),
      deed("slow", isSlow ? { sleepMs: 7000 } : {}),
      ...wide,
    ]),
    inTurn("row", [
      deed("reads", { output: ["large", ...givers].map((id) => `{{tasks.${id}.output.output}}`) }),
      deed("again", { fail }, { retry: { attempts: 2, backoffMs: 10 } }),
      deed("plans", { append }),
    ]),
  );
}

/**
 * Workflows without end, each asked for, read and cancelled through an API that may die in the middle of it. What gets
 * no answer there is asked again, under the same key, through one that stays, which also tells how each of them ended.
 */
export class Work {
  readonly #steady: Client;
  readonly #apiKey: string;
  readonly #ended: Ended[] = [];
  readonly #known = new Set<string>();
  readonly #loops: Promise<void>[];
  #isOver = false;
  #count = 0;
  /** Address of the API that dies, while it is up. */
  mortalUrl: string | undefined;

  constructor(steady: { url: string; apiKey: string }) {
    this.#steady = createClient(steady);
    this.#apiKey = steady.apiKey;
    this.#loops = Array.from({ length: atOnce }, () => this.#loop());
  }

  /** Begins nothing new, and resolves when all that was acknowledged has ended. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) this.#ended.push(await this.#one(++this.#count));
  }

  async #one(number: number): Promise<Ended> {
    const isCancelled = number % cancelledEvery === 0;
    const request = plan(number % slowEvery === 1);
    const options = { idempotencyKey: crypto.randomUUID() };
    const first = await this.#mortal((client) => client.submit(request, options));
    const { id } = first ?? (await this.#steady.submit(request, options));
    this.#known.add(id);
    const reading = this.#read(id);
    if (isCancelled && (await this.#mortal((client) => client.cancel(id))) === undefined) await this.#steady.cancel(id);
    const events = await collect(this.#steady.events(id, { follow: true }));
    await reading;
    return { id, isCancelled, events };
  }

  /** Every way to read a workflow. What the answers are is the matter of other tests. */
  async #read(id: string): Promise<void> {
    await this.#mortal((client) => collect(client.events(id, { follow: true })));
    const reads: ((client: Client) => Promise<unknown>)[] = [
      (client) => client.get(id),
      (client) => client.task(id, "large"),
      (client) => client.artifacts(id),
      (client) => collect(client.events(id)),
      (client) => client.list({ limit: 10 }),
      (client) => client.agents(),
    ];
    if (this.mortalUrl !== undefined) await fetch(`${this.mortalUrl}/ready`).catch(() => undefined);
    await Promise.all(reads.map((read) => this.#mortal(read)));
  }

  /** What the API that dies answers; undefined when it gives none. */
  async #mortal<T>(call: (client: Client) => Promise<T>): Promise<T | undefined> {
    if (this.mortalUrl === undefined) return undefined;
    const client = createClient({ url: this.mortalUrl, apiKey: this.#apiKey, retryMs: 0, reconnectMs: 0 });
    return call(client).catch(() => undefined);
  }

  /** Everything that was acknowledged has ended as it should, with each effect once and no step repeated in vain. */
  expectDoneOnce(effects: readonly Effect[]): void {
    expect(this.#ended).toHaveLength(this.#known.size);
    const byWorkflow = Map.groupBy(effects, ({ workflowId }) => workflowId);
    expect([...byWorkflow.keys()].filter((id) => !this.#known.has(id))).toEqual([]);
    for (const one of this.#ended) expectEnded(one, byWorkflow.get(one.id) ?? []);
  }
}

function expectEnded({ id, isCancelled, events }: Ended, effects: readonly Effect[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
  const countOf = (type: string, task: string) =>
    events.filter((event) => event.type === type && event.taskId === task).length;
  const last = events.at(-1);
  const isPoisoned = last?.type === "workflow.failed" && Object(last.data).error?.class === "poison";
  if (isPoisoned) expect(countOf("task.crashed", Object(last.data).error.taskId), id).toBe(3);
  else if (!isCancelled) expect(last?.type, `${id}: ${JSON.stringify(last)}`).toBe("workflow.completed");

  const applied = Map.groupBy(effects, ({ key }) => key);
  for (const [key, lines] of applied) {
    expect(lines.filter((line) => line.applied).length, key).toBe(1);
  }
  for (const [taskId, lines] of Map.groupBy(effects, (line) => line.taskId)) {
    const lives = countOf("task.crashed", taskId) + countOf("task.released", taskId);
    expect(lines.filter((line) => !line.applied).length, `${id} ${taskId}`).toBeLessThanOrEqual(lives);
  }
  if (last?.type !== "workflow.completed") return;
  expect([...applied.keys()].toSorted()).toEqual(
    doers.flatMap((task) => Array.from({ length: stepsOfTask }, (_, step) => `${id}/${task}/${step}`)).toSorted(),
  );
  for (const task of [...doers, ...givers]) expect(countOf("task.completed", task), `${id} ${task}`).toBe(1);
  // Neither a death nor a stop spends an attempt.
  const byTask = Map.groupBy(events, ({ taskId }) => taskId);
  for (const task of [...doers, ...givers]) {
    const most = Math.max(...(byTask.get(task) ?? []).map(({ attempt = 0 }) => attempt));
    expect(most, `${id} ${task}`).toBe(task === "again" ? 2 : 1);
  }
}
