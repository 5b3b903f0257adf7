import { type Measurement, type MetricSink, type PostOutcome, StoreUnavailableError } from "@flotilla/workflow";
import type { OciClients } from "../clients.ts";
import { OciFailure } from "../failure.ts";

/** Series of one call; the limit of OCI. */
const maxSeries = 50;

/** A post is made once: Monitoring adds up what it is given twice. */
const patience = { attempts: 1, attemptMs: 10_000 };

/** Failures of the network before anything was sent. */
const unsent = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

export interface OciMetricOptions {
  namespace: string;
  compartmentId: string;
  /** A dimension of every series: OCI wants at least one, and fleets may share a compartment. */
  fleet: string;
}

/** Monitoring as the place of measurements. What a call of several begins and cannot end is lost, and said. */
export function createOciMetricSink(clients: OciClients, options: OciMetricOptions): MetricSink {
  return {
    async post(measurements, signal) {
      const series = seriesOf(measurements, options);
      for (let from = 0; from < series.length; from += maxSeries) {
        const outcome = await postSome(clients, series.slice(from, from + maxSeries), signal);
        if (outcome.kind === "taken") continue;
        return from === 0 ? outcome : { kind: "lost", reason: outcome.reason };
      }
      return { kind: "taken" };
    },
  };
}

interface MetricData {
  namespace: string;
  compartmentId: string;
  name: string;
  dimensions: Record<string, string>;
  datapoints: { timestamp: Date; value: number }[];
}

function seriesOf(measurements: readonly Measurement[], { fleet, ...place }: OciMetricOptions): MetricData[] {
  const series = new Map<string, MetricData>();
  for (const { name, dimensions: given, value, at } of measurements) {
    // OCI refuses what is no number, and empty values.
    if (!Number.isFinite(value)) continue;
    const dimensions = { fleet, ...Object.fromEntries(Object.entries(given).filter(([, text]) => text !== "")) };
    const key = JSON.stringify([name, dimensions]);
    const known: MetricData = series.get(key) ?? { ...place, name, dimensions, datapoints: [] };
    known.datapoints.push({ timestamp: new Date(at), value });
    series.set(key, known);
  }
  return [...series.values()];
}

async function postSome(
  clients: OciClients,
  metricData: MetricData[],
  signal: AbortSignal | undefined,
): Promise<PostOutcome> {
  try {
    const { postMetricDataResponseDetails: answer } = await clients.monitoring(
      {
        operation: "PostMetricData",
        patience,
        send: (client) => client.postMetricData({ postMetricDataDetails: { metricData } }),
      },
      signal,
    );
    if (answer.failedMetricsCount === 0) return { kind: "taken" };
    const [first] = answer.failedMetrics ?? [];
    return {
      kind: "lost",
      reason: `${answer.failedMetricsCount} series were refused: ${first?.message ?? "no reason"}`,
    };
  } catch (error) {
    signal?.throwIfAborted();
    return outcomeOf(error);
  }
}

function outcomeOf(error: unknown): PostOutcome {
  const failure = error instanceof StoreUnavailableError ? error.cause : error;
  if (!(failure instanceof OciFailure)) throw error;
  const { kind, status, message: reason } = failure;
  switch (kind) {
    // It says itself that it has done nothing; to whom it must be said again, once the matter is mended.
    case "throttled":
    case "missing":
    case "unauthenticated":
      return { kind: "later", reason };
    case "unavailable":
      return { kind: status !== undefined || isUnsent(failure.cause) ? "later" : "lost", reason };
    case "conflict":
    case "refused":
      return { kind: "lost", reason };
  }
}

function isUnsent(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" && unsent.has(cause.code);
}
