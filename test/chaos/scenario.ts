import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RedisServer } from "@flotilla/redis";
import type { Finding, Harm } from "./checker.ts";
import { createRandom, type Random } from "./random.ts";

/** What one run of a scenario is given. */
export interface Run {
  seed: number;
  random: Random;
  /** How long faults are made, in ms. */
  forMs: number;
  /** How many of whatever the scenario counts, where it is not given by time. */
  count: number | undefined;
  /** Whether the defence is off: then the run must find harm. */
  isControl: boolean;
  server: RedisServer;
  /** A folder of its own, removed afterwards. */
  dir: string;
  /** Takes a line on how it goes. */
  say(line: string): void;
}

/** What came of it. */
export interface Outcome {
  /** Figures for the report, by name. */
  figures: Record<string, number | string>;
  /** What is wrong; empty when every promise held. */
  harm: readonly string[];
  /** Why it could not run on this machine. */
  skipped?: string;
}

/** One way to break the fleet, with the promise that must hold. */
export interface Scenario {
  readonly name: string;
  readonly promise: string;
  /** Which defence the negative control takes away. */
  readonly control: string;
  run(run: Run): Promise<Outcome>;
}

/** How to run a scenario; see `Run`. */
export type RunOptions = Pick<Run, "seed" | "forMs" | "isControl" | "server" | "say"> & { count?: number };

/** Runs a scenario in a folder of its own. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const dir = await mkdtemp(join(tmpdir(), `flotilla-chaos-${scenario.name}-`));
  try {
    return await scenario.run({ ...options, count: options.count, random: createRandom(options.seed), dir });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const shownFindings = 10;

/** Findings in words: how many of each harm, and the first of them. */
export function inWords(findings: readonly Finding[]): string[] {
  return findings.slice(0, shownFindings).map(({ harm, subject, detail }) => `${harm}: ${subject}: ${detail}`);
}

/** How many findings there are of a harm. */
export function countOf(findings: readonly Finding[], ...harms: Harm[]): number {
  return findings.filter(({ harm }) => harms.includes(harm)).length;
}
