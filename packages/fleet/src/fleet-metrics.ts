import type { Metrics } from "@flotilla/runtime";
import { ItemKind } from "@flotilla/workflow";
import { openCircuits } from "./circuits.ts";
import { backlogOf, countActive } from "./fleet-numbers.ts";
import { admissionQueue, agentQueue, shardTag } from "./keys.ts";
import type { Queues } from "./queues.ts";
import type { Scripts } from "./scripts.ts";

/**
 * Numbers of the fleet as a whole; every supervisor shows the same ones, so read them with `max`, not `sum`. What cannot
 * be read is not shown any more: an old number of one supervisor that lost Redis would hide the new ones of the others.
 */
export class FleetMetrics {
  readonly #scripts: Scripts;
  readonly #queues: Queues;
  readonly #metrics: Metrics;
  readonly #shards: readonly string[];

  constructor(deps: { scripts: Scripts; queues: Queues; metrics: Metrics; shards: readonly string[] }) {
    this.#shards = deps.shards;
    this.#scripts = deps.scripts;
    this.#queues = deps.queues;
    this.#metrics = deps.metrics;
  }

  /** How many workflows are active; also shown. */
  sampleActive(): Promise<number> {
    const { activeWorkflows } = this.#metrics;
    return orForget(
      () => this.#sampleActive(),
      () => activeWorkflows.remove(),
    );
  }

  /** Shows depth, oldest age and backlog of the queues of these agent types, and of the admission queue. */
  sampleQueues(agentTypes: readonly string[]): Promise<void> {
    const { queueBacklog, queueDepth, queueOldestAgeSeconds } = this.#metrics;
    return orForget(
      () => this.#sampleQueues(agentTypes),
      () => {
        for (const gauge of [queueBacklog, queueDepth, queueOldestAgeSeconds]) gauge.reset();
      },
    );
  }

  /** Shows how many items of each kind wait for a person. */
  sampleItems(): Promise<void> {
    const { openItems } = this.#metrics;
    return orForget(
      () => this.#sampleItems(),
      () => openItems.reset(),
    );
  }

  /** Shows which circuits are open. */
  sampleCircuits(): Promise<void> {
    const { circuitOpen } = this.#metrics;
    return orForget(
      async () => {
        const open = await openCircuits(this.#scripts);
        circuitOpen.reset();
        for (const { circuit, inMs } of open) circuitOpen.set({ circuit }, inMs > 0 ? 1 : 0.5);
      },
      () => circuitOpen.reset(),
    );
  }

  async #sampleActive(): Promise<number> {
    const active = await countActive(this.#scripts, this.#shards);
    this.#metrics.activeWorkflows.set(active);
    return active;
  }

  async #sampleQueues(agentTypes: readonly string[]): Promise<void> {
    const names = [admissionQueue, ...agentTypes.map(agentQueue)];
    await Promise.all(names.map((queue) => this.#sampleQueue(queue)));
    for (const agent of agentTypes) {
      this.#metrics.queueBacklog.set({ agent_type: agent }, backlogOf(await this.#queues.depth(agentQueue(agent))));
    }
  }

  async #sampleItems(): Promise<void> {
    const open = new Map<string, number>(ItemKind.options.map((kind) => [kind, 0]));
    const shards = await Promise.all(
      this.#shards.map((shard) => this.#scripts.call("open-items", shardTag(shard), [])),
    );
    for (const reply of shards) {
      // Kind and number by turns, the numbers as text.
      const flat = reply as string[];
      for (let index = 0; index < flat.length; index += 2) {
        const kind = flat[index] ?? "";
        open.set(kind, (open.get(kind) ?? 0) + Number(flat[index + 1]));
      }
    }
    for (const [kind, count] of open) this.#metrics.openItems.set({ kind }, count);
  }

  async #sampleQueue(queue: string): Promise<void> {
    const [depth, oldest] = await Promise.all([this.#queues.depth(queue), this.#queues.oldest(queue)]);
    for (const [state, count] of Object.entries(depth)) this.#metrics.queueDepth.set({ queue, state }, count);
    const age = oldest === undefined ? 0 : Math.max(0, Date.now() - oldest) / 1000;
    this.#metrics.queueOldestAgeSeconds.set({ queue }, age);
  }
}

async function orForget<T>(sample: () => Promise<T>, forget: () => void): Promise<T> {
  try {
    return await sample();
  } catch (error) {
    forget();
    throw error;
  }
}
