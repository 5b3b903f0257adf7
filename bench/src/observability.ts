import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedis, spawnRedis } from "@flotilla/redis";
import { Command } from "commander";
import { Redis } from "ioredis";
import { FleetSide } from "./fleet-side.ts";
import { measure, median, type Round } from "./measure.ts";

const { workflows, rounds } = new Command("observability")
  .description("What it costs to be seen: the six-step workflow with traces, and with metrics scraped, against without")
  .option("--workflows <n>", "workflows a round", Number, 1000)
  .option("--rounds <n>", "alternating rounds of each", Number, 5)
  .parse()
  .opts<{ workflows: number; rounds: number }>();

const say = (line: string) => void process.stderr.write(`${line}\n`);
const found = await findRedis({ root: ".flotilla", fetch: true, production: true, say });
if (found.kind !== "server") throw new Error("the bench needs a redis-server that it can start");

const collector = fork(new URL("collector-main.ts", import.meta.url));
// Of a server of ours that listens on TCP.
const [ready] = (await once(collector, "message")) as [{ address: AddressInfo }];
const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ready.address.port}` };
const tenth = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.1" };

interface Variant {
  name: string;
  env: Readonly<Record<string, string>>;
  scrapeEveryMs?: number;
}
const variants: readonly Variant[] = [
  { name: "unseen", env: {} },
  { name: "metrics scraped every 5 s", env: {}, scrapeEveryMs: 5000 },
  { name: "one trace in ten", env: { ...traced, ...tenth } },
  { name: "every trace", env: traced },
];

/** One round, by a fleet and a Redis of its own: two fleets on one Redis would share the work. */
async function round({ env, scrapeEveryMs }: Variant, server: typeof found & { kind: "server" }): Promise<Round> {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-bench-redis-"));
  const spawned = await spawnRedis(server, { dir, port: 0, appendonly: true, appendfsync: "everysec" });
  const redis = new Redis(spawned.url);
  const fleet = await FleetSide.start(spawned.url, redis, env);
  let scraping: NodeJS.Timeout | undefined;
  try {
    await fleet.run(Math.ceil(workflows / 2), 100);
    const scrape = () => Promise.all(fleet.metricsUrls.map((url) => fetch(url).then((answer) => answer.text())));
    if (scrapeEveryMs !== undefined) scraping = setInterval(() => void scrape(), scrapeEveryMs);
    return await measure(fleet, redis, workflows, 100, 0);
  } finally {
    clearInterval(scraping);
    await fleet.stop();
    redis.disconnect();
    await spawned.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

const measured = new Map<string, Round[]>(variants.map(({ name }) => [name, []]));
try {
  for (let turn = 1; turn <= rounds; turn++) {
    // Whoever goes first finds the machine as the last one left it.
    for (const variant of turn % 2 ? variants : variants.toReversed()) {
      measured.get(variant.name)?.push(await round(variant, found));
    }
    say(`round ${turn}`);
  }
} finally {
  collector.kill();
}
const plain = measured.get("unseen")?.map(({ nodeCpuUs }) => nodeCpuUs) ?? [];
for (const [name, all] of measured) {
  const cpu = all.map(({ nodeCpuUs }) => nodeCpuUs);
  const range = `${Math.min(...cpu).toFixed(0)} to ${Math.max(...cpu).toFixed(0)}`;
  const perSecond = median(all.map((one) => one.perSecond)).toFixed(0);
  const ratio = (median(cpu) / median(plain)).toFixed(3);
  process.stdout.write(
    `${name.padEnd(28)}Node CPU ${median(cpu).toFixed(0)} µs a workflow (${range}), ${ratio} of unseen; ${perSecond}/s\n`,
  );
}
