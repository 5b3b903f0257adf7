import { findServer } from "@flotilla/redis";
import { Command, InvalidArgumentError, Option } from "commander";
import { report } from "./report.ts";
import { runScenario } from "./scenario.ts";
import { scenarios } from "./scenarios/index.ts";

const names = scenarios.map(({ name }) => name);

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("must be a number above 0");
  return value;
}

const program = new Command("chaos")
  .description("Breaks a fleet of real processes by chance that repeats, and says what it kept of its promises")
  .option("--minutes <n>", "how long faults are made", positive, 2)
  .option("--seed <n>", "the same seed makes the same faults", positive)
  .addOption(new Option("--scenario <name>", "what is done to the fleet").choices(names).default("kills"))
  .option("--count <n>", "how many there are of what the scenario counts: workflows, cuts, failovers, keys", positive)
  .option("--control", "with the defence switched off: passes if harm is found")
  .option("--json", "the report as one line of JSON on stdout")
  .addHelpText(
    "after",
    `\nScenarios, the promise of each, and what its control switches off:\n${scenarios
      .map(({ name, promise, control }) => `  ${name.padEnd(10)}${promise}\n${" ".repeat(12)}control: ${control}`)
      .join("\n")}`,
  )
  .parse();
const options = program.opts<{
  minutes: number;
  seed?: number;
  scenario: string;
  count?: number;
  control?: boolean;
  json?: boolean;
}>();

const startedAt = performance.now();
const say = (line: string) =>
  void process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);

const scenario = scenarios.find(({ name }) => name === options.scenario);
if (!scenario) throw new Error("a scenario that is not there");
const server = await findServer({ root: ".flotilla", fetch: true, say });
if (!server) throw new Error("chaos needs a redis-server that it can start");
const seed = Math.floor(options.seed ?? Math.random() * 2 ** 31);
const isControl = options.control ?? false;
say(`${scenario.name}${isControl ? " (control)" : ""}, seed ${seed}, ${options.minutes} min, redis ${server.version}`);
const outcome = await runScenario(scenario, {
  seed,
  isControl,
  server,
  say,
  forMs: options.minutes * 60_000,
  ...(options.count === undefined ? {} : { count: options.count }),
});
const { text, line, hasPassed } = report({ scenario, seed, minutes: options.minutes, isControl, outcome });
process.stdout.write(options.json ? `${JSON.stringify(line)}\n` : `${text}\n`);
process.exit(hasPassed ? 0 : 1);
