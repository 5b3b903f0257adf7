import type { AgentLoad } from "@flotilla/fleet";
import { decideReplicas, emptyMemory, type HpaMemory, type HpaSpec } from "./hpa.ts";

/** How often the numbers are looked at, in ms; a cluster does so every 15 s. */
const everyMs = 5000;

/** The processes of an agent type, as far as an autoscaler knows them. */
export interface Scalable {
  /** Those that run or start, without those that are ending. */
  count(agentType: string): number;
  /** Starts so many more. */
  add(agentType: string, count: number): void;
  /** Ends so many of them, those without work first; what they have in hand goes to others. */
  remove(agentType: string, count: number): Promise<void>;
}

export interface AutoscalerOptions {
  spec: HpaSpec;
  /** Agent type → the least number of its processes. */
  floors: ReadonlyMap<string, number>;
  loads: () => Promise<readonly AgentLoad[]>;
  processes: Scalable;
  /** Told of each change, and of the numbers not being known. */
  note: (line: string) => void;
}

/** Scales the agent processes of one machine as a cluster would scale their pods. */
export class Autoscaler {
  readonly #options: AutoscalerOptions;
  readonly #memories = new Map<string, HpaMemory>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  constructor(options: AutoscalerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      // Where they are not known nothing is changed: an outage of Redis is no empty queue.
      const loads = await this.#options.loads().catch(() => undefined);
      const backlogs = new Map(loads?.map(({ agentType, backlog }) => [agentType, backlog]));
      for (const [agentType, floor] of this.#options.floors) {
        if (this.#timer === undefined) return;
        await this.#scale(agentType, floor, backlogs.get(agentType));
      }
    } finally {
      this.#isLooking = false;
    }
  }

  async #scale(agentType: string, floor: number, backlog: number | undefined): Promise<void> {
    const { spec, processes, note } = this.#options;
    const bounds = { minReplicas: floor, maxReplicas: Math.max(floor, spec.maxReplicas) };
    const from = processes.count(agentType);
    const values = new Map(spec.metrics.map(({ name }) => [name, backlog]));
    const memory = this.#memories.get(agentType) ?? emptyMemory;
    const input = { now: performance.now(), replicas: from, values };
    const { replicas: to, memory: next } = decideReplicas({ ...spec, ...bounds }, memory, input);
    this.#memories.set(agentType, next);
    if (to === from) return;
    note(`${agentType}: ${from} → ${to} processes for ${backlog ?? "an unknown number of"} tasks`);
    if (to > from) processes.add(agentType, to - from);
    else await processes.remove(agentType, from - to);
  }
}
