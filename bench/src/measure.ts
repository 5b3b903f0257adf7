import type { Redis } from "ioredis";
import type { Side } from "./side.ts";

/** What one round of one side came to. */
export interface Round {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Scripts that Redis ran for one workflow, BullMQ's included. */
  evalsPerWorkflow: number;
  /** CPU of redis-server for one workflow, in µs. */
  redisCpuUs: number;
  /** CPU of all Node processes of the side for one workflow, the submitting one included, in µs. */
  nodeCpuUs: number;
}

/** Runs one round: `workflows` for throughput and cost, then `latencies` one at a time for the percentiles. */
export async function measure(
  side: Side,
  redis: Redis,
  workflows: number,
  inFlight: number,
  latencies: number,
): Promise<Round> {
  const [before, cpuBefore] = [await redisUsage(redis), await side.cpuSeconds()];
  const startedAt = performance.now();
  await side.run(workflows, inFlight);
  const seconds = (performance.now() - startedAt) / 1000;
  const [after, cpuAfter] = [await redisUsage(redis), await side.cpuSeconds()];

  const times: number[] = [];
  while (times.length < latencies) times.push(await side.latency());
  return {
    perSecond: workflows / seconds,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    evalsPerWorkflow: (after.evals - before.evals) / workflows,
    redisCpuUs: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / workflows,
    nodeCpuUs: ((cpuAfter - cpuBefore) * 1e6) / workflows,
  };
}

async function redisUsage(redis: Redis): Promise<{ evals: number; cpuSeconds: number }> {
  const info = await redis.info("all");
  const number = (pattern: RegExp) => [...info.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
  return {
    evals: number(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm),
    cpuSeconds: number(/^used_cpu_(?:sys|user):([\d.]+)/gm),
  };
}

/** The value below which a share `q` of `values` lies. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Both sides beside each other: medians, with the range over the rounds. */
export function table(fleet: readonly Round[], raw: readonly Round[]): string {
  const rows: [string, keyof Round, number][] = [
    ["workflows/s", "perSecond", 0],
    ["p50 ms", "p50Ms", 1],
    ["p99 ms", "p99Ms", 1],
    ["scripts a workflow", "evalsPerWorkflow", 1],
    ["Redis CPU µs", "redisCpuUs", 0],
    ["Node CPU µs", "nodeCpuUs", 0],
  ];
  const cell = (rounds: readonly Round[], key: keyof Round, digits: number) => {
    const values = rounds.map((round) => round[key]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return `${median(values).toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
  };
  const lines = rows.map(([name, key, digits]) => {
    const ratio = median(fleet.map((round) => round[key])) / median(raw.map((round) => round[key]));
    return [name, cell(fleet, key, digits), cell(raw, key, digits), ratio.toFixed(2)];
  });
  return [["", "flotilla", "raw flow", "ratio"], ...lines]
    .map(([name = "", a = "", b = "", ratio = ""]) => `${name.padEnd(20)}${a.padEnd(26)}${b.padEnd(26)}${ratio}`)
    .join("\n");
}
