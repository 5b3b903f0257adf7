import type { Measurement } from "@flotilla/workflow";
import { type Series, seriesOf } from "./series.ts";

/** What a fleet counted in a minute, by the text of its series. */
export type Counts = ReadonlyMap<string, number>;

const workflowDuration = "flotilla_workflow_duration_seconds";

/**
 * What is posted of a minute that is over: the increase of every counter in it, of every histogram how many and their
 * mean; and over the window that ends with it what the recording rules of Prometheus are named for, with its meanings.
 */
export function measurementsOfMinute(own: Counts, window: readonly Counts[], at: number): Measurement[] {
  const all = sumOf(window);
  return [...increases(own, at), ...rates(all, at), ...quantiles(all, at), ...perMinute(all, window.length, at)];
}

/** What is posted of the fleet as it is now. */
export function measurementsOfGauges(gauges: Counts, at: number): Measurement[] {
  return [...gauges].flatMap(([text, value]): Measurement[] => {
    const { name, labels } = seriesOf(text);
    const measured = { name, dimensions: labels, value, at };
    const agent = /^agent\.(.+)$/.exec(labels["queue"] ?? "")?.[1];
    if (name !== "flotilla_queue_depth" || labels["state"] !== "active" || agent === undefined) return [measured];
    // Each process knows its own running tasks; of the fleet they are the jobs that are worked on.
    return [measured, { name: "flotilla_running_tasks", dimensions: { agent_type: agent }, value, at }];
  });
}

function increases(own: Counts, at: number): Measurement[] {
  return [...own].flatMap(([text, value]): Measurement[] => {
    const { name, labels } = seriesOf(text);
    if (name.endsWith("_bucket") || name.endsWith("_sum")) return [];
    const base = /^(.*_seconds)_count$/.exec(name)?.[1];
    if (base === undefined) return [{ name, dimensions: labels, value, at }];
    const sum = sumBy(own, (other) => other.name === `${base}_sum`);
    return [
      { name, dimensions: labels, value, at },
      { name: base, dimensions: labels, value: sum / value, at },
    ];
  });
}

/** Of those that ended by themselves; none while there are none, as Prometheus has none. */
function rates(all: Counts, at: number): Measurement[] {
  const executions = (...outcomes: string[]) =>
    sumBy(
      all,
      ({ name, labels }) => name === "flotilla_agent_executions_total" && outcomes.includes(labels["outcome"] ?? ""),
    );
  const handoffs = (outcome?: string) =>
    sumBy(
      all,
      ({ name, labels }) =>
        name === "flotilla_handoffs_total" && (outcome === undefined || labels["outcome"] === outcome),
    );
  return [
    ...ratio("agent_error_rate", executions("failed"), executions("failed", "completed"), at),
    ...ratio("handoff_success_rate", handoffs("completed"), handoffs(), at),
  ];
}

function ratio(name: string, part: number, whole: number, at: number): Measurement[] {
  return whole > 0 ? [{ name, dimensions: {}, value: part / whole, at }] : [];
}

function perMinute(all: Counts, minutes: number, at: number): Measurement[] {
  const recoveries = sumBy(all, ({ name }) => name === "flotilla_recovery_operations_total");
  return [{ name: "recovery_operations_per_minute", dimensions: {}, value: recoveries / minutes, at }];
}

function quantiles(all: Counts, at: number): Measurement[] {
  const buckets = [...all].flatMap(([text, count]): [number, number][] => {
    const { name, labels } = seriesOf(text);
    if (name !== `${workflowDuration}_bucket`) return [];
    return [[labels["le"] === "+Inf" ? Infinity : Number(labels["le"]), count]];
  });
  const ordered = buckets.toSorted(([a], [b]) => a - b);
  return ([0.5, 0.99] as const).flatMap((q) => {
    const value = quantileOf(ordered, q);
    return value === undefined ? [] : [{ name: `workflow_duration_p${q * 100}`, dimensions: {}, value, at }];
  });
}

/** As `histogram_quantile` of Prometheus: straight within a bucket, and the last bound where it is beyond it. */
export function quantileOf(
  buckets: readonly (readonly [bound: number, upTo: number])[],
  q: number,
): number | undefined {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return undefined;
  const rank = q * total;
  let [lower, below] = [0, 0];
  for (const [bound, upTo] of buckets) {
    if (upTo >= rank) return bound === Infinity ? lower : lower + ((bound - lower) * (rank - below)) / (upTo - below);
    [lower, below] = [bound, upTo];
  }
  return lower;
}

function sumOf(window: readonly Counts[]): Counts {
  const all = new Map<string, number>();
  for (const counts of window) for (const [text, count] of counts) all.set(text, (all.get(text) ?? 0) + count);
  return all;
}

function sumBy(counts: Counts, isMeant: (series: Series) => boolean): number {
  let sum = 0;
  for (const [text, count] of counts) if (isMeant(seriesOf(text))) sum += count;
  return sum;
}
