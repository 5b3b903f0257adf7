import type { Metrics } from "@flotilla/runtime";

/** Counters and histograms that a fleet adds up: each process has counted its own part. */
const counted = new Set([
  "flotilla_workflow_duration_seconds",
  "flotilla_task_duration_seconds",
  "flotilla_handoffs_total",
  "flotilla_agent_executions_total",
  "flotilla_recovery_operations_total",
  "flotilla_model_tokens_total",
  "flotilla_model_cost_usd_total",
]);

/** Gauges of the fleet as a whole, which each supervisor knows alike. */
const known = new Set([
  "flotilla_active_workflows",
  "flotilla_checkpoint_lag_seconds",
  "flotilla_due_lag_seconds",
  "flotilla_open_items",
  "flotilla_queue_backlog",
  "flotilla_queue_depth",
  "flotilla_queue_oldest_age_seconds",
]);

/** A series of one name, told apart by its labels. */
export interface Series {
  name: string;
  labels: Readonly<Record<string, string>>;
}

/** What the process has counted so far, by the text of its series; a histogram is its buckets, sum and count. */
export function countsOf(metrics: Metrics): Promise<Map<string, number>> {
  return valuesOf(metrics, counted);
}

/** What the process knows of the fleet at this moment. */
export function gaugesOf(metrics: Metrics): Promise<Map<string, number>> {
  return valuesOf(metrics, known);
}

async function valuesOf({ registry }: Metrics, names: ReadonlySet<string>): Promise<Map<string, number>> {
  const values = new Map<string, number>();
  for (const metric of await registry.getMetricsAsJSON()) {
    if (!names.has(metric.name)) continue;
    for (const { value, labels, ...more } of metric.values) {
      const name = "metricName" in more && typeof more.metricName === "string" ? more.metricName : metric.name;
      values.set(textOf(name, labels), value);
    }
  }
  return values;
}

/** `name` and its labels as one text, which `seriesOf` reads. */
function textOf(name: string, labels: Partial<Record<string, string | number>>): string {
  return JSON.stringify([name, ...Object.entries(labels).map(([label, value]) => [label, String(value)])]);
}

/** The series of a text that `countsOf` or `gaugesOf` gave. */
export function seriesOf(text: string): Series {
  // Made by `textOf`, here or in a process of the same fleet.
  const [name, ...labels] = JSON.parse(text) as [string, ...[string, string][]];
  return { name, labels: Object.fromEntries(labels) };
}
