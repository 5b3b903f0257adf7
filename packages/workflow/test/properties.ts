import { isDeepStrictEqual } from "node:util";
import { fold, type WorkflowState } from "@flotilla/workflow";
import fc from "fast-check";
import { examine, type Rule } from "./invariants.ts";
import { allowedEnds, type Faults, type Scenario, scenarios } from "./scenario.ts";
import { type Run, simulate, simulateFork, type Tampering } from "./simulation.ts";

/** A promise about every run, whatever the plan is and whatever happens on the way. */
export interface Property {
  name: string;
  scenarios: fc.Arbitrary<Scenario>;
  /** What is wrong with the run; nothing, when the promise is kept. */
  faultsOf(run: Run, tampering: Tampering): unknown[];
}

const none: Faults = { jobs: false, supervisors: false, workers: false, cancel: false, retries: false };
const allButJobs: Faults = { jobs: false, supervisors: true, workers: true, cancel: true, retries: true };
const everything = scenarios({ ...allButJobs, jobs: true }, { timeouts: true });

const keeps = (rule: Rule) => (run: Run) => examine(run.log).violations.filter((violation) => violation.rule === rule);

const named = {
  sameEnd: {
    name: "any order, doubling or delay of facts, jobs and looks reaches the same end",
    scenarios: scenarios({ ...none, jobs: true, supervisors: true }),
    faultsOf: (run, tampering) => differences(run, simulate({ ...run.scenario, faults: none, choices: [] }, tampering)),
  },
  sameEndOfRetries: {
    name: "retried until it completes, a workflow gives the same outputs whatever happened on the way",
    scenarios: scenarios({ ...none, jobs: true, supervisors: true, retries: true }, { persistent: true }),
    faultsOf: (run, tampering) => differences(run, simulate({ ...run.scenario, faults: none, choices: [] }, tampering)),
  },
  fork: {
    name: "a fork from any place of any log keeps the rules and comes to the same end as its source",
    scenarios: scenarios({ ...none, jobs: true, supervisors: true, workers: true }, { persistent: true }),
    faultsOf: (run, tampering) => {
      const fork = simulateFork(run, run.scenario.choices[0] ?? 0, tampering);
      const { seq } = fork.fork.submitted.data.forkedFrom;
      // What stands between the shared lines and its own no look and no worker would write.
      const isOwn = (at: number) => at <= seq || at > seq + fork.fork.facts.length;
      const broken = examine(fork.log).violations.filter((violation) => isOwn(violation.seq));
      return [...broken, ...differences(fork, run)];
    },
  },
  dependencies: {
    name: "nothing is scheduled before its dependencies are settled",
    scenarios: everything,
    faultsOf: keeps("dependencies"),
  },
  compensation: {
    name: "what is done is undone from the last to the first, each once, and nothing that was done is left out",
    scenarios: everything,
    faultsOf: keeps("compensation"),
  },
  concurrency: {
    name: "at most `concurrency` tasks are outstanding at once, in the workflow and in each phase",
    scenarios: everything,
    faultsOf: keeps("concurrency"),
  },
  fencing: {
    name: "nothing that a superseded claim writes stands in the log",
    scenarios: everything,
    faultsOf: keeps("fencing"),
  },
  finality: {
    name: "terminal is final: after the end nothing is written but a retry, and that only of what failed or was aborted",
    scenarios: everything,
    faultsOf: (run) => (run.writesAfterEnd > 0 ? [`${run.writesAfterEnd} writes`] : keeps("finality")(run)),
  },
  validity: {
    name: "a decision made on a stale prefix stays valid over the facts that it has not seen",
    scenarios: everything,
    faultsOf: keeps("validity"),
  },
  oneFold: {
    name: "the fold of the whole log equals the state that was held, however the log is cut",
    scenarios: everything,
    faultsOf: (run, { fold: folds = fold }) => [...(run.drifted > 0 ? ["held"] : []), ...cuts(run, folds)],
  },
  ends: {
    name: "every workflow ends",
    scenarios: everything,
    faultsOf: (run) => (run.isStuck ? [[...run.state.tasks.values()].map(({ id, stage }) => [id, stage.kind])] : []),
  },
  askedFor: {
    name: "while no job is lost, no look that nobody asked for finds anything to do",
    scenarios: scenarios(allButJobs, { timeouts: true }),
    // A look that was taken over, commits and dies leaves jobs to nobody but the look for lost jobs.
    faultsOf: (run) => (run.saved > 0 ? [`${run.saved} looks`] : []),
  },
  idempotent: {
    name: "deciding again on what a decision left yields nothing",
    scenarios: everything,
    faultsOf: (run) => [...run.restless],
  },
} satisfies Record<string, Property>;

export type PropertyKey = keyof typeof named;

/** Every property of the core, by a short name. */
export const properties: Readonly<Record<PropertyKey, Property>> = named;

/** Runs a property so many times; `seed` makes it the same runs each time. */
export function check(
  { scenarios: arbitrary, faultsOf }: Property,
  numRuns: number,
  { tampering = {}, seed }: { tampering?: Tampering; seed?: number } = {},
) {
  const property = fc.property(arbitrary, (scenario) => {
    const faults = faultsOf(simulate(scenario, tampering), tampering);
    if (faults.length > 0) throw new Error(JSON.stringify(faults));
  });
  return fc.check(property, { numRuns, ...(seed === undefined ? {} : { seed }), endOnFailure: seed !== undefined });
}

function differences(run: Run, orderly: Run): string[] {
  const found: string[] = [];
  const allowed = allowedEnds(run.scenario);
  for (const { state } of [run, orderly]) {
    if (!allowed.has(state.status)) found.push(`${state.status}, not ${[...allowed].join(" or ")}`);
  }
  // Where a failure ends the workflow, the order says how far the other tasks got; what they gave is the same.
  const isWhole = run.state.status === "completed";
  const planned = ({ tasks }: WorkflowState) => [...tasks.values()].filter(({ origin }) => !origin);
  const isComplete = planned(run.state).length === planned(orderly.state).length;
  if (isWhole && !isComplete) found.push("not the same tasks");
  for (const { id, stage } of planned(run.state)) {
    const other = orderly.state.tasks.get(id)?.stage;
    if (isWhole && stage.kind !== other?.kind) found.push(`${id} is ${stage.kind}, not ${other?.kind}`);
    if (stage.kind !== "completed" || other?.kind !== "completed") continue;
    const same = isDeepStrictEqual(stage.output, other.output) && run.outputs.get(id) === orderly.outputs.get(id);
    if (!same)
      found.push(`${id} gave ${JSON.stringify(stage.output.inline)}, not ${JSON.stringify(other.output.inline)}`);
  }
  return found;
}

/** Cuts the log at places that its choices name, and folds the pieces one after the other. */
function cuts({ log, state, scenario }: Run, folds: typeof fold): string[] {
  const places = new Set([1, ...scenario.choices.slice(0, 5).map((choice) => 1 + (choice % log.length))]);
  let held = folds(state.id, undefined, log.slice(0, 1));
  const ends = [...places].toSorted((a, b) => a - b);
  for (const end of [...ends, log.length]) held = folds(state.id, held, log.slice(held.seq, end));
  return isDeepStrictEqual(held, state) ? [] : [`cut at ${ends.join(", ")}`];
}
