import { randomUUID } from "node:crypto";
import type { Logger } from "@flotilla/runtime";
import { CircuitOpenError, type Circuits, type IsFault } from "@flotilla/workflow";
import {
  BrokenCircuitError,
  circuitBreaker,
  type CircuitBreakerPolicy,
  ConstantBackoff,
  CountBreaker,
  handleType,
} from "cockatiel";
import { fleetTag } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

/** The longest that a circuit is open before it is tried, in ms. */
const longestOpenMs = 60_000;

/** Calls that are let through at once, in the whole fleet, while it is tried; and how long each may take, in ms. */
const probesAtOnce = 3;
const probeMs = 60_000;

/** When a call may be tried again about which Redis could not be asked, in ms. */
const unansweredMs = 1000;

/** How many of the last calls of a process must be faults. A type of agent fails for many reasons: it takes more. */
const window = { size: 12, minimumNumberOfCalls: 6, threshold: 0.75 };
const agentWindow = { size: 50, minimumNumberOfCalls: 50, threshold: 0.9 };

export interface CircuitsOptions {
  /** How long a circuit is open the first time, in ms; twice as long each time after that. */
  openMs: number;
  logger: Logger;
}

/** The circuits that are open, and in how many ms each may be tried; 0 where that time has come. */
export async function openCircuits(scripts: Scripts): Promise<{ circuit: string; inMs: number }[]> {
  // See the header of lua/circuits.lua for the shape.
  const flat = (await scripts.call("circuits", fleetTag, [])) as (string | number)[];
  const open: { circuit: string; inMs: number }[] = [];
  for (let index = 0; index < flat.length; index += 3) {
    open.push({ circuit: String(flat[index]), inMs: Number(flat[index + 1]) });
  }
  return open;
}

/** One circuit that is open, as this process knows it; times are those of `performance.now()`. */
interface OpenCircuit {
  until: number;
  learntAt: number;
}

/** An error that speaks against the circuit, for cockatiel to count; what was thrown is its cause. */
class Fault extends Error {
  constructor(cause: unknown) {
    super("a call failed in a way that counts", { cause });
    this.name = "Fault";
  }
}

function throwAs(error: unknown, isFault: IsFault): never {
  throw isFault(error, false) ? new Fault(error) : error;
}

/**
 * Circuits that the whole fleet shares. Each process judges its own calls by a policy of cockatiel. What one opens is
 * kept in Redis, by its clock, and all others have it with their next `refresh`; when its time is over Redis lets a few
 * calls through, and closes it for all when one succeeds. While Redis is away what is open stays open.
 */
export class SharedCircuits implements Circuits {
  readonly #options: CircuitsOptions;
  readonly #policies = new Map<string, CircuitBreakerPolicy>();
  readonly #open = new Map<string, OpenCircuit>();
  #scripts: Scripts | undefined;

  constructor(options: CircuitsOptions) {
    this.#options = options;
  }

  /** From now on what this process learns is shared. */
  share(scripts: Scripts): void {
    this.#scripts = scripts;
  }

  async run<T>(circuit: string, call: () => Promise<T>, isFault: IsFault): Promise<T> {
    const open = this.#open.get(circuit);
    if (open) return this.#try(circuit, open, call, isFault);
    try {
      return await this.#policy(circuit).execute(() => call().catch((error: unknown) => throwAs(error, isFault)));
    } catch (error) {
      if (error instanceof Fault) throw error.cause;
      if (error instanceof BrokenCircuitError) throw new CircuitOpenError(circuit, this.#options.openMs);
      throw error;
    }
  }

  /** Learns what others have opened and closed. */
  async refresh(): Promise<void> {
    if (!this.#scripts) return;
    const askedAt = performance.now();
    const open = await openCircuits(this.#scripts);
    const now = performance.now();
    for (const { circuit, inMs } of open) this.#learn(circuit, now + inMs);
    const names = new Set(open.map(({ circuit }) => circuit));
    for (const [circuit, { learntAt }] of this.#open) {
      // What this process opened while the answer was under way is not in it.
      if (!names.has(circuit) && learntAt < askedAt) this.#close(circuit);
    }
  }

  async #try<T>(circuit: string, { until }: OpenCircuit, call: () => Promise<T>, isFault: IsFault): Promise<T> {
    const inMs = until - performance.now();
    if (inMs > 0) throw new CircuitOpenError(circuit, inMs);
    const caller = randomUUID();
    const [word, ms] = await this.#say(circuit, "enter", caller);
    if (word === "open") throw new CircuitOpenError(circuit, ms);
    if (word === "closed") {
      this.#close(circuit);
      return this.run(circuit, call, isFault);
    }
    try {
      const value = await call();
      this.#close(circuit);
      await this.#say(circuit, "passed", caller);
      return value;
    } catch (error) {
      const isOver = isFault(error, true) ? "broke" : "left";
      const [, openMs] = await this.#say(circuit, isOver, caller);
      if (isOver === "broke") this.#learn(circuit, performance.now() + openMs);
      throw error;
    }
  }

  #policy(circuit: string): CircuitBreakerPolicy {
    const known = this.#policies.get(circuit);
    if (known) return known;
    const policy = circuitBreaker(handleType(Fault), {
      halfOpenAfter: new ConstantBackoff(this.#options.openMs),
      breaker: new CountBreaker(circuit.startsWith("agent:") ? agentWindow : window),
    });
    policy.onBreak(() => void this.#broke(circuit));
    this.#policies.set(circuit, policy);
    return policy;
  }

  async #broke(circuit: string): Promise<void> {
    const { openMs, logger } = this.#options;
    logger.warn({ circuit }, "a circuit is opened: too many calls fail");
    this.#learn(circuit, performance.now() + openMs);
    const [, ms] = await this.#say(circuit, "broke", "");
    this.#learn(circuit, performance.now() + ms);
  }

  #learn(circuit: string, until: number): void {
    this.#open.set(circuit, { until, learntAt: performance.now() });
  }

  /** What was counted before it opened counts no more. */
  #close(circuit: string): void {
    this.#open.delete(circuit);
    this.#policies.delete(circuit);
  }

  async #say(circuit: string, word: string, caller: string): Promise<["closed" | "open" | "probe", number]> {
    const limits = [this.#options.openMs, longestOpenMs, probesAtOnce, probeMs];
    try {
      // See the header of lua/circuit.lua for the shape.
      const answer = await this.#scripts?.item("circuit", fleetTag, [circuit, word, caller], limits);
      return (answer ?? ["open", this.#options.openMs]) as ["closed" | "open" | "probe", number];
    } catch (error) {
      this.#options.logger.warn({ err: error, circuit, word }, "a circuit is not shared");
      return ["open", unansweredMs];
    }
  }
}
