import { join } from "node:path";
import { z } from "zod";
import { type Call, invalid, jsonOf, type Operation, pathOf, Refusal } from "../wire.ts";
import { JsonLines } from "./json-lines.ts";

/** Series of one `PostMetricData`. */
const maxSeries = 50;

const hourMs = 3_600_000;
const maxEntryBytes = 1_000_000;

const time = z.iso.datetime({ offset: true });

const Series = z.object({
  namespace: z.string().regex(/^(?!oci_|oracle_)[A-Za-z][A-Za-z0-9_]*$/, "the namespace is not valid"),
  compartmentId: z.string().min(1),
  name: z.string().regex(/^[A-Za-z][A-Za-z0-9._$-]*$/, "the name is not valid"),
  resourceGroup: z.string().exactOptional(),
  dimensions: z
    .record(
      z.string().regex(/^[\x21-\x7e]{1,256}$/, "a key of a dimension is not valid"),
      z.string().min(1, "a dimension is empty").max(512),
    )
    .refine((dimensions) => Object.keys(dimensions).length > 0, "there are no dimensions"),
  metadata: z.record(z.string(), z.string()).exactOptional(),
  datapoints: z
    .array(z.object({ timestamp: time, value: z.number(), count: z.int().positive().exactOptional() }))
    .min(1, "there are no datapoints"),
});

/** A series as Monitoring was given it. */
export type PostedSeries = z.infer<typeof Series>;

const PostMetricData = z.object({
  metricData: z.array(z.unknown()).min(1).max(maxSeries),
  batchAtomicity: z.enum(["ATOMIC", "NON_ATOMIC"]).default("NON_ATOMIC"),
});

const PutLogs = z.object({
  specversion: z.literal("1.0"),
  logEntryBatches: z
    .array(
      z.object({
        source: z.string().min(1),
        type: z.string().min(1),
        subject: z.string().exactOptional(),
        defaultlogentrytime: time,
        entries: z
          .array(
            z.object({
              id: z.string().min(1),
              data: z.string().refine((text) => Buffer.byteLength(text) <= maxEntryBytes, "an entry is too large"),
              time: time.exactOptional(),
            }),
          )
          .min(1),
      }),
    )
    .min(1),
});

/** A line as Logging was given it. */
export interface PutEntry {
  id: string;
  data: string;
  time: string;
  source: string;
  type: string;
}

/** What Monitoring and Logging were given. */
export class Telemetry {
  readonly #folder: string;
  readonly #series: JsonLines;
  readonly #logs = new Map<string, JsonLines>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#series = new JsonLines(join(folder, "monitoring.jsonl"));
  }

  post(series: readonly PostedSeries[]): Promise<void> {
    return this.#series.append(series);
  }

  async series(): Promise<PostedSeries[]> {
    return (await this.#series.all()).map((one) => Series.parse(one));
  }

  put(logId: string, entries: readonly PutEntry[]): Promise<void> {
    return this.#log(logId).append(entries);
  }

  async entries(logId: string): Promise<PutEntry[]> {
    // Written by `put`.
    return (await this.#log(logId).all()) as PutEntry[];
  }

  #log(logId: string): JsonLines {
    const log = this.#logs.get(logId) ?? new JsonLines(join(this.#folder, "logging", `${logId}.jsonl`));
    this.#logs.set(logId, log);
    return log;
  }
}

/** The operations of Monitoring and Logging that Flotilla calls, under their names there. */
export function telemetryOperations(telemetry: Telemetry, now: () => number): Operation[] {
  return [
    {
      name: "PostMetricData",
      method: "POST",
      pattern: "/20180401/metrics",
      async answer(call) {
        const { metricData, batchAtomicity } = jsonOf(call, PostMetricData);
        const judged = metricData.map((given) => judge(given, now()));
        const failedMetrics = judged.flatMap(({ failed }) => (failed ? [failed] : []));
        const taken = judged.flatMap(({ series }) => (series ? [series] : []));
        if (taken.length === 0 || (batchAtomicity === "ATOMIC" && failedMetrics.length > 0)) {
          throw invalid(failedMetrics[0]?.message ?? "nothing is valid");
        }
        await telemetry.post(taken);
        return { status: 200, body: { failedMetricsCount: failedMetrics.length, failedMetrics } };
      },
    },
    {
      name: "PutLogs",
      method: "POST",
      pattern: "/20200831/logs/{log}/actions/push",
      async answer(call) {
        const logId = logOf(call);
        const { logEntryBatches } = jsonOf(call, PutLogs);
        const entries = logEntryBatches.flatMap(({ source, type, defaultlogentrytime, entries }) =>
          entries.map((entry) => ({ source, type, time: defaultlogentrytime, ...entry })),
        );
        await telemetry.put(logId, entries);
        return { status: 200 };
      },
    },
  ];
}

function judge(
  given: unknown,
  now: number,
): { series?: PostedSeries; failed?: { message: string; metricData: unknown } } {
  const parsed = Series.safeParse(given);
  if (!parsed.success) return { failed: { message: parsed.error.issues[0]?.message ?? "invalid", metricData: given } };
  const isNear = ({ timestamp }: { timestamp: string }) => {
    const at = Date.parse(timestamp);
    return at > now - 2 * hourMs && at < now + hourMs / 6;
  };
  if (parsed.data.datapoints.every(isNear)) return { series: parsed.data };
  return { failed: { message: "a timestamp is too far from now", metricData: given } };
}

/** At OCI a log is made beforehand; here every id that may be one is one. */
function logOf(call: Call): string {
  const logId = pathOf(call, "log");
  if (/^ocid1\.log\.[A-Za-z0-9._-]{1,240}$/.test(logId)) return logId;
  throw new Refusal(404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.");
}
