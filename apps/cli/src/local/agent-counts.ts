import { agentTypePattern } from "@flotilla/workflow";
import { CliError, exitCode } from "../exit.ts";

/**
 * The agent types that every fleet has. Named here and not imported: the modules behind them load a model SDK, which
 * would make every command slow to start.
 */
export const builtInAgents = ["planner", "research", "analysis", "execution", "review"] as const;

const mostProcesses = 64;

/** How many processes of each agent type: one of each built-in, changed by `type=N,…`. Throws on bad text. */
export function agentCounts(text: string | undefined, probe: boolean): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(builtInAgents.map((type) => [type, 1]));
  if (probe) counts.set("probe", 1);
  for (const part of text === undefined ? [] : text.split(",")) {
    const [type = "", count = ""] = part.split("=", 2).map((side) => side.trim());
    if (!agentTypePattern.test(type) || !/^\d{1,2}$/.test(count) || Number(count) > mostProcesses) {
      const message = `--agents takes type=N pairs such as research=2,review=0, each N at most ${mostProcesses}; "${part}" is not one`;
      throw new CliError(exitCode.usage, message);
    }
    counts.set(type, Number(count));
  }
  if ((counts.get("probe") ?? 0) > 0 && !probe) {
    throw new CliError(exitCode.usage, "the probe agent is for tests: give --probe as well");
  }
  return counts;
}
