import { setTimeout as delay } from "node:timers/promises";
import type { Fault } from "./faults/fault.ts";
import type { Random } from "./random.ts";

/** A fault that has happened. */
export interface Hit {
  fault: string;
  victim: string;
  /** When it began, in ms since the epoch. */
  at: number;
  /** When it was over. */
  overAt: number;
}

export interface DriverOptions {
  random: Random;
  /** Names of faults and how often each is chosen. */
  faults: readonly { fault: Fault; weight: number }[];
  /** Ms from the beginning of one fault to that of the next. */
  everyMs: { min: number; max: number };
  forMs: number;
  /** Faults that last may overlap up to so many. */
  atOnce?: number;
  onHit?: (hit: Hit) => void;
}

/** Injects faults by chance for so long; resolves when the last one is over, with all that hit somebody. */
export async function drive(options: DriverOptions): Promise<Hit[]> {
  const { random, faults, everyMs, forMs, atOnce = 2, onHit } = options;
  const weights = Object.fromEntries(faults.map(({ fault, weight }) => [fault.name, weight]));
  const hits: Hit[] = [];
  const lasting = new Set<Promise<void>>();
  const deadline = performance.now() + forMs;
  for (;;) {
    const pauseMs = random.between(everyMs.min, everyMs.max);
    const name = random.weighted(weights);
    const chance = random.fork();
    if (performance.now() + pauseMs > deadline) break;
    await delay(pauseMs);
    const fault = faults.find((one) => one.fault.name === name)?.fault;
    if (!fault || lasting.size >= atOnce) continue;
    const injected = inject(fault, chance).then((hit) => {
      lasting.delete(injected);
      if (!hit) return;
      hits.push(hit);
      onHit?.(hit);
    });
    lasting.add(injected);
    // What is over at once, such as a kill, is not counted as lasting.
    await Promise.race([injected, delay(20)]);
  }
  await Promise.all(lasting);
  return hits.toSorted((a, b) => a.at - b.at);
}

async function inject(fault: Fault, random: Random): Promise<Hit | undefined> {
  const at = Date.now();
  const victim = await fault.inject(random);
  return victim === undefined ? undefined : { fault: fault.name, victim, at, overAt: Date.now() };
}
