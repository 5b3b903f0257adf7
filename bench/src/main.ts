import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedis, spawnRedis } from "@flotilla/redis";
import { Command } from "commander";
import { Redis } from "ioredis";
import { FleetSide, wideRequest } from "./fleet-side.ts";
import { measure, median, type Round, table } from "./measure.ts";
import { RawSide } from "./raw-side.ts";

const program = new Command("bench")
  .description("Flotilla's six-step workflow against the same six nodes as a raw BullMQ flow, on one private Redis")
  .option("--workflows <n>", "workflows a round", Number, 2000)
  .option("--rounds <n>", "alternating rounds of each side", Number, 5)
  .option("--in-flight <n>", "unfinished workflows at once", Number, 200)
  .option("--latencies <n>", "workflows run one at a time for the percentiles, in all", Number, 300)
  .option("--json", "one line of JSON on stdout")
  .parse();
const options = program.opts<{
  workflows: number;
  rounds: number;
  inFlight: number;
  latencies: number;
  json?: boolean;
}>();

const say = (line: string) => void process.stderr.write(`${line}\n`);
const print = (text: string) => void process.stdout.write(`${text}\n`);
const found = await findRedis({ root: ".flotilla", fetch: true, production: true, say });
if (found.kind !== "server") throw new Error("the bench needs a redis-server that it can start");
const dir = await mkdtemp(join(tmpdir(), "flotilla-bench-redis-"));
const server = await spawnRedis(found, { dir, port: 0, appendonly: true, appendfsync: "everysec" });
const redis = new Redis(server.url);
const fleet = await FleetSide.start(server.url, redis);
const raw = await RawSide.start(server.url);

try {
  say(`redis ${found.version}, AOF everysec; warming up`);
  await fleet.run(Math.ceil(options.workflows / 4), options.inFlight);
  await raw.run(Math.ceil(options.workflows / 4), options.inFlight);

  const fleetRounds: Round[] = [];
  const rawRounds: Round[] = [];
  const sides = [
    { side: fleet, rounds: fleetRounds },
    { side: raw, rounds: rawRounds },
  ];
  for (let round = 1; round <= options.rounds; round++) {
    // Whoever goes first finds the machine as the other left it.
    for (const { side, rounds } of round % 2 ? sides : sides.toReversed()) {
      rounds.push(await measure(side, redis, options.workflows, options.inFlight, options.latencies / options.rounds));
    }
    say(
      `round ${round}: fleet ${fleetRounds.at(-1)?.perSecond.toFixed(0)}/s, raw ${rawRounds.at(-1)?.perSecond.toFixed(0)}/s`,
    );
  }
  const wide: number[] = [];
  for (let round = 0; round < 3; round++) wide.push(await fleet.timeOf(wideRequest(1000)));

  const show = options.json ? say : print;
  show(table(fleetRounds, rawRounds));
  show(
    `one workflow of 1,000 parallel tasks: ${median(wide).toFixed(0)} ms (${wide.map((ms) => ms.toFixed(0)).join(", ")})`,
  );
  if (options.json) {
    const workflowsPerSecond = median(fleetRounds.map((round) => round.perSecond));
    const rawFlowPerSecond = median(rawRounds.map((round) => round.perSecond));
    const line = {
      workflowsPerSecond,
      p50Ms: median(fleetRounds.map((round) => round.p50Ms)),
      p99Ms: median(fleetRounds.map((round) => round.p99Ms)),
      rawFlowPerSecond,
      ratio: workflowsPerSecond / rawFlowPerSecond,
      evalsPerWorkflow: median(fleetRounds.map((round) => round.evalsPerWorkflow)),
      redisCpuUsPerWorkflow: median(fleetRounds.map((round) => round.redisCpuUs)),
      nodeCpuUsPerWorkflow: median(fleetRounds.map((round) => round.nodeCpuUs)),
      rssMb: await fleet.rssMb(),
      wideMs: median(wide),
    };
    print(JSON.stringify(line));
  }
} finally {
  await fleet.stop();
  await raw.stop();
  redis.disconnect();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
}
