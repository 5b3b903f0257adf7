import { join } from "node:path";
import { check, type Evidence, type Finding, recoveries } from "./checker.ts";
import type { Hit } from "./driver.ts";
import { collectEvidence, settle } from "./evidence.ts";
import { Fleet, type FleetOptions } from "./fleet.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { countOf, type Outcome, type Run } from "./scenario.ts";
import type { Random } from "./random.ts";
import { twoTasks, type Work } from "./work.ts";

export interface TrialOptions extends Omit<FleetOptions, "dir"> {
  /** Workflows to have acknowledged; without it, as many as there are until the disturbance is over. */
  total?: number;
  perSecond?: number;
  /** Most workflows open at once. */
  open?: number;
  /** Longest that the step of a task lasts after its effect, in ms. */
  stepMs?: number;
  isKeyless?: boolean;
  /** What each workflow does; two tasks in a row unless given. */
  work?: (pace: Random) => Work;
}

/** What was seen in a trial. */
export interface Verdict {
  evidence: Evidence;
  findings: readonly Finding[];
  hits: readonly Hit[];
  /** From the last fault until no workflow was open, in ms. */
  settledMs: number;
}

/** What is not over so long after the last fault is stuck, in ms. */
const settleWithinMs = 120_000;

const sayEveryMs = 5000;

/** Runs a fleet under load, breaks it as `disturb` says, lets it come to rest, and judges what it tells. */
export async function trial(
  { dir, random, say }: Run,
  options: TrialOptions,
  disturb: (fleet: Fleet, ledger: Ledger) => Promise<readonly Hit[]>,
): Promise<Verdict> {
  const { total, perSecond = 60, open = 100, stepMs = 200, isKeyless = false, ...rest } = options;
  const inPairs = (by: Random) =>
    twoTasks({ firstMs: by.between(0, stepMs), secondMs: by.between(0, stepMs) }, rest.agentType);
  const work = rest.work ?? inPairs;
  const ledger = await Ledger.open(join(dir, "ledger.jsonl"));
  const fleet = await Fleet.start({ ...rest, dir });
  const pace = random.fork();
  const load = new Load({
    client: fleet.client,
    ledger,
    work: () => work(pace),
    ...(total === undefined ? {} : { total }),
    perSecond,
    open,
    isKeyless,
  });
  const telling = setInterval(() => say(`${ledger.count} acknowledged`), sayEveryMs);
  try {
    load.start();
    const hits = await disturb(fleet, ledger);
    await (total === undefined ? load.stop() : load.finished());
    const settledMs = await settle(fleet.client, settleWithinMs);
    say(`at rest after ${Math.round(settledMs)} ms; reading ${ledger.count} workflows`);
    const evidence = await collectEvidence(fleet.client, ledger.path, fleet.effectsFile);
    return { evidence, findings: check(evidence), hits, settledMs };
  } finally {
    clearInterval(telling);
    await fleet.stop();
    await ledger.close();
  }
}

/** The figures that every trial has. */
export function figuresOf({ evidence, findings, hits, settledMs }: Verdict): Outcome["figures"] {
  const slowest = Math.max(
    0,
    ...recoveries(
      hits.map(({ overAt }) => overAt),
      evidence,
    ),
  );
  return {
    faults: hits.length,
    acknowledged: evidence.acks.length,
    effects: evidence.effects.filter(({ applied }) => applied).length,
    lost: countOf(findings, "lost", "never applied"),
    duplicated: countOf(findings, "doubled", "applied twice"),
    stuck: countOf(findings, "stuck"),
    "out of order": countOf(findings, "out of order", "after the end"),
    "slowest recovery ms": Math.round(slowest),
    "at rest after ms": Math.round(settledMs),
  };
}
