import { setTimeout as delay } from "node:timers/promises";
import type { Logger, Metrics, RedisSettings, Service } from "@flotilla/runtime";
import type { Measurement, MetricSink } from "@flotilla/workflow";
import { connect, type Connection, disconnect, isConnected } from "../connection.ts";
import { fleetTag } from "../keys.ts";
import { Scripts } from "../scripts.ts";
import { type Counts, measurementsOfGauges, measurementsOfMinute } from "./measurements.ts";
import { gaugesOf } from "./series.ts";

/** How often it looks for a minute that is over, in ms. */
const lookEveryMs = 5000;

/** Minutes that are taken at once, and over how many the rates go: as the recording rules of Prometheus. */
const takenAtOnce = 10;
const windowMinutes = 5;

/** Measurements older than this are not posted any more: OCI takes none that are older than two hours. */
const oldestMinutes = 100;

/** How long it waits after monitoring has taken nothing, in ms. */
const patienceMs = 30_000;

/** How long what is under way may take when the process stops. */
const finishWithinMs = 2000;

export interface PosterOptions {
  redis: RedisSettings;
  sink: MetricSink;
  metrics: Metrics;
  logger: Logger;
  /** The clock of the process, in ms; only the age of what waits is judged by it. */
  now?: () => number;
}

/**
 * Posts what the fleet counted in each minute, and what a supervisor knows of the fleet now. Any number of supervisors
 * share the work: each minute is taken by one of them, and posted once or not at all. What monitoring does not take for
 * now waits in the memory of that supervisor, up to 100 minutes of it.
 */
export class Poster implements Service {
  readonly #options: PosterOptions;
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  readonly #stopping = new AbortController();
  #waiting: Measurement[][] = [];
  #loop: Promise<void> | undefined;

  constructor(options: PosterOptions) {
    this.#options = options;
    this.#connection = connect(options.redis, "failFast", options.logger);
    this.#scripts = new Scripts(this.#connection);
  }

  async start(): Promise<void> {
    await isConnected(this.#connection);
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.race([this.#loop, delay(finishWithinMs, undefined, { ref: false })]);
    disconnect(this.#connection);
    const lost = this.#waiting.length;
    if (lost > 0) this.#options.logger.warn({ posts: lost }, "what was not posted to monitoring is lost");
    this.#waiting = [];
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const pauseMs = await this.turn().catch((error: unknown) => {
        if (!signal.aborted) this.#options.logger.warn({ err: error }, "monitoring is behind");
        return lookEveryMs;
      });
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Takes what is over and posts what waits, oldest first. Answers how long to wait until the next turn, in ms. */
  async turn(): Promise<number> {
    await this.#take();
    this.#forget();
    for (let post = this.#waiting.shift(); post; post = this.#waiting.shift()) {
      const outcome = await this.#options.sink.post(post, this.#stopping.signal);
      if (outcome.kind === "later") {
        this.#waiting.unshift(post);
        const { reason } = outcome;
        this.#options.logger.warn({ reason, posts: this.#waiting.length }, "monitoring takes nothing now");
        return patienceMs;
      }
      if (outcome.kind === "lost") {
        const { reason } = outcome;
        this.#options.logger.warn({ reason, measurements: post.length }, "measurements may be missing from monitoring");
      }
    }
    return lookEveryMs;
  }

  async #take(): Promise<void> {
    const args = [takenAtOnce, oldestMinutes, windowMinutes];
    // See the header of lua/minutes.lua for the shape.
    const [now, ...flat] = (await this.#scripts.call("minutes", fleetTag, args)) as [
      number,
      ...(number | string[][])[],
    ];
    for (let place = 0; place < flat.length; place += 2) {
      const [minute, tallies] = [flat[place] as number, flat[place + 1] as string[][]];
      const window = tallies.map(countsIn);
      const over = measurementsOfMinute(window.at(-1) ?? new Map(), window, (minute + 1) * 60_000);
      // Who takes the last minute tells how the fleet is now; of older ones nobody knows any more.
      const isLast = place + 2 === flat.length;
      const gauges = isLast ? measurementsOfGauges(await gaugesOf(this.#options.metrics), now) : [];
      this.#waiting.push([...over, ...gauges]);
    }
  }

  #forget(): void {
    const { now = Date.now, logger } = this.#options;
    const oldest = now() - oldestMinutes * 60_000;
    const kept = this.#waiting.filter(([first]) => first && first.at >= oldest);
    if (kept.length < this.#waiting.length) {
      logger.warn({ posts: this.#waiting.length - kept.length }, "what monitoring would not take for too long is lost");
    }
    this.#waiting = kept;
  }
}

function countsIn(flat: readonly string[]): Counts {
  const counts = new Map<string, number>();
  for (let place = 0; place < flat.length; place += 2) counts.set(flat[place] ?? "", Number(flat[place + 1]));
  return counts;
}
