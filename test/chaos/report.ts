import type { Outcome, Scenario } from "./scenario.ts";

/** A run that is over. */
export interface Ran {
  scenario: Pick<Scenario, "name" | "promise" | "control">;
  seed: number;
  minutes: number;
  isControl: boolean;
  outcome: Outcome;
}

/** A run in words, as one object, and whether it went as it must: a control must find harm. */
export function report({ scenario, seed, minutes, isControl, outcome }: Ran): {
  text: string;
  line: Record<string, unknown>;
  hasPassed: boolean;
} {
  const { figures, harm, skipped } = outcome;
  const hasPassed = skipped !== undefined || isControl === harm.length > 0;
  const rows = Object.entries({ seed, ...figures }).map(([name, value]) => `  ${name.padEnd(22)} ${value}`);
  const text = [
    `${scenario.name}: ${isControl ? `control, ${scenario.control}` : scenario.promise}`,
    ...rows,
    ...harm.map((one) => `  ! ${one}`),
    verdict(isControl, hasPassed, skipped),
  ].join("\n");
  const line = { scenario: scenario.name, control: isControl, seed, minutes, ...figures, harm, hasPassed };
  return { text, line: skipped === undefined ? line : { ...line, skipped }, hasPassed };
}

function verdict(isControl: boolean, hasPassed: boolean, skipped: string | undefined): string {
  if (skipped !== undefined) return `skipped: ${skipped}`;
  if (isControl) return hasPassed ? "the control fails, as it must" : "the control found no harm: it proves nothing";
  return hasPassed ? "all promises held" : "promises were broken";
}
