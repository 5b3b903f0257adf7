import { inject } from "vitest";
import { type Outcome, runScenario, type Scenario } from "./scenario.ts";

/** Runs a scenario in a test; what it says goes to stderr, seed first, so that a failure can be repeated. */
export async function runInTest(
  scenario: Scenario,
  how: { seed: number; seconds: number; isControl?: boolean; count?: number },
): Promise<Outcome> {
  const found = inject("redis");
  if ("missing" in found) throw new Error(found.missing);
  const { seed, seconds, isControl = false, count } = how;
  const lines: string[] = [];
  const outcome = await runScenario(scenario, {
    seed,
    isControl,
    server: found.server,
    forMs: seconds * 1000,
    say: (line) => void lines.push(line),
    ...(count === undefined ? {} : { count }),
  });
  const figures = Object.entries(outcome.figures).map(([name, value]) => `${name} ${value}`);
  console.log(`${scenario.name}${isControl ? " (control)" : ""}: seed ${seed}, ${figures.join(", ")}`);
  // What it said is of use only to whoever looks for the reason of harm.
  if (outcome.harm.length > 0 && !isControl) console.log(lines.join("\n"));
  return outcome;
}

/** Skips the rest of a test whose scenario could not run here, with the reason. */
export function skipIfItDidNotRun({ skipped }: Outcome, skip: (reason: string) => void): void {
  if (skipped !== undefined) skip(skipped);
}
