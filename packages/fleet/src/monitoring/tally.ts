import type { Logger, Metrics, RedisSettings, Service } from "@flotilla/runtime";
import { connect, type Connection, disconnect, isConnected } from "../connection.ts";
import { fleetTag } from "../keys.ts";
import { Scripts } from "../scripts.ts";
import { countsOf } from "./series.ts";

/** How often a process says what it has counted, in ms: what one that is killed takes with it. */
const tellEveryMs = 10_000;

/** How long what was counted in a minute is kept, in ms: longer than monitoring takes it. */
const keptMs = 7_200_000;

export interface TallyOptions {
  redis: RedisSettings;
  metrics: Metrics;
  logger: Logger;
}

/**
 * Adds what this process counts to what the fleet counts, minute by minute in Redis, so that one process can post it all.
 * An increase is said once: where nobody knows whether it was heard it is not said again, for nothing may count twice.
 */
export class Tally implements Service {
  readonly #options: TallyOptions;
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  #told = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TallyOptions) {
    this.#options = options;
    this.#connection = connect(options.redis, "failFast", options.logger);
    this.#scripts = new Scripts(this.#connection);
  }

  async start(): Promise<void> {
    await isConnected(this.#connection);
    this.#timer = setInterval(() => void this.tell(), tellEveryMs);
  }

  async stop(): Promise<void> {
    if (this.#timer !== undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      await this.tell();
    }
    disconnect(this.#connection);
  }

  /** Says what was counted since the last time. While Redis cannot be reached that is kept for later. */
  async tell(): Promise<void> {
    if (this.#connection.status !== "ready") return;
    const counts = await countsOf(this.#options.metrics);
    const increases = [...counts].flatMap(([series, count]) => {
      const increase = count - (this.#told.get(series) ?? 0);
      return increase > 0 ? [series, increase] : [];
    });
    this.#told = counts;
    if (increases.length === 0) return;
    try {
      await this.#scripts.call("tally", fleetTag, [keptMs, ...increases]);
    } catch (error) {
      this.#options.logger.warn({ err: error }, "what was counted may be missing from monitoring");
    }
  }
}
