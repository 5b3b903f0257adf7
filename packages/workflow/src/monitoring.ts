import type { Json } from "./json.ts";

/** A number of one series at one time. */
export interface Measurement {
  name: string;
  /** What tells series of one name apart; few values each. */
  dimensions: Readonly<Record<string, string>>;
  value: number;
  /** When it was so, in ms since the epoch. */
  at: number;
}

/**
 * What became of measurements. `later`: nothing was taken, and they may be posted again. `lost`: they may have been taken
 * or never will be, so that to post them again would count twice or in vain.
 */
export type PostOutcome = { kind: "taken" } | { kind: "later" | "lost"; reason: string };

/** A service that keeps measurements. Never rejects but with the reason of the signal. */
export interface MetricSink {
  post(measurements: readonly Measurement[], signal?: AbortSignal): Promise<PostOutcome>;
}

/** What is told about one event that somebody may have to answer for. */
export interface AuditLine {
  /** The same whenever the line is told again. */
  id: string;
  at: number;
  data: Json;
}

/** A log of audit lines. Rejects with `StoreUnavailableError` while it is away; lines may then be written again. */
export interface AuditLog {
  write(lines: readonly AuditLine[], signal?: AbortSignal): Promise<void>;
}
