import type { CheckResult, Logger, RedisSettings } from "@flotilla/runtime";
import { type Job, Worker } from "bullmq";
import { closeWorker } from "./close-worker.ts";
import { connect, type Connection, disconnect } from "./connection.ts";
import { queuePrefix } from "./keys.ts";

/**
 * How long a worker without jobs waits for one in Redis before it asks again, in s. A job whose fetch failed as Redis came
 * back is found only then: with 3 s, work went on 5 to 6 s after one failover of Sentinel in six.
 */
const drainDelay = 2;

const watchEveryMs = 1000;

const workerOptions = {
  drainDelay,
  // By default a worker whose connection broke at a bad moment does nothing for 15 s.
  runRetryDelay: 1000,
  // BullMQ's own failure detector only has to bring back jobs that were fetched and never claimed.
  lockDuration: 10_000,
  stalledInterval: 5000,
  maxStalledCount: 1_000_000,
};

export interface JobReaderOptions<T> {
  redis: RedisSettings;
  queue: string;
  /** Jobs at once. */
  concurrency: number;
  process(job: Job<T>, token: string | undefined): Promise<void>;
  /** Whether Redis can be reached, by what others see of it: where it cannot, nothing is read and nothing is wrong. */
  isReachable(): boolean;
  /** Whether it begins with nothing but waiting for `resume`. */
  isPaused?: boolean;
  logger: Logger;
  /** How long reading may take to come back before it stands still, in ms; three times its usual wait by default. */
  stillAfterMs?: number;
}

/**
 * Takes the jobs of one queue. Reading that stands still though Redis can be reached is begun anew, with new
 * connections: drivers have parked a blocking read for hours, without an error, after a failover (bullmq#4138, #4378).
 */
export class JobReader<T> {
  readonly #options: JobReaderOptions<T>;
  readonly #stillAfterMs: number;
  #connection: Connection | undefined;
  #worker: WatchedWorker<T> | undefined;
  #watch: NodeJS.Timeout | undefined;
  /** When reading last came back, or could not: Redis out of reach, every place taken. */
  #aliveAt = 0;
  #begunAt = 0;
  #isPaused: boolean;

  constructor(options: JobReaderOptions<T>) {
    this.#options = options;
    this.#isPaused = options.isPaused ?? false;
    this.#stillAfterMs = options.stillAfterMs ?? 3 * drainDelay * 1000;
  }

  async start(): Promise<void> {
    this.#aliveAt = performance.now();
    const worker = this.#begin();
    this.#watch = setInterval(() => this.#look(), watchEveryMs);
    await worker.waitUntilReady();
  }

  /** Takes no further jobs until `resume`; those that it has run on. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#worker?.pause(true);
  }

  async resume(): Promise<void> {
    this.#isPaused = false;
    await this.#worker?.resume();
  }

  /** Waits for the jobs that it has, but not for long. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    if (this.#worker) await closeWorker(this.#worker);
    if (this.#connection) disconnect(this.#connection);
  }

  /** Whether jobs are being read: not ok only where Redis can be reached and reading stands still all the same. */
  check(): CheckResult {
    const stillMs = performance.now() - this.#lastAlive();
    // A little longer than it takes to begin anew: where that has helped, nothing is wrong.
    return { ok: stillMs < this.#stillAfterMs + 2 * watchEveryMs, detail: `read ${Math.round(stillMs)} ms ago` };
  }

  #begin(): WatchedWorker<T> {
    const { redis, queue, concurrency, logger, process } = this.#options;
    this.#connection = connect(redis, "blocking", logger);
    this.#worker = new WatchedWorker<T>(queue, process, {
      connection: this.#connection,
      prefix: queuePrefix(queue),
      concurrency,
      autorun: !this.#isPaused,
      ...workerOptions,
    });
    this.#worker.on("error", (error) => logger.warn({ err: error, queue }, "queue"));
    this.#begunAt = performance.now();
    return this.#worker;
  }

  #look(): void {
    this.#aliveAt = this.#lastAlive();
    const stillMs = performance.now() - Math.max(this.#aliveAt, this.#begunAt);
    if (stillMs < this.#stillAfterMs) return;
    const { logger, queue } = this.#options;
    logger.error({ queue, stillMs }, "reading stands still, and is begun anew");
    const [worker, connection] = [this.#worker, this.#connection];
    this.#begin();
    void this.#leave(worker, connection);
  }

  /** The jobs of the old one run on; those that it cannot finish any more come back, and their claims refuse them. */
  async #leave(worker: Worker<T> | undefined, connection: Connection | undefined): Promise<void> {
    try {
      await worker?.pause(true);
      if (worker) await closeWorker(worker);
    } catch (error) {
      this.#options.logger.debug({ err: error }, "an old reader");
    }
    if (connection) disconnect(connection);
  }

  #lastAlive(): number {
    const isIdleForReason =
      this.#isPaused || !this.#options.isReachable() || (this.#worker?.active ?? 0) >= this.#options.concurrency;
    return isIdleForReason ? performance.now() : Math.max(this.#aliveAt, this.#worker?.readAt ?? 0);
  }
}

/** A BullMQ worker that tells when it last came back from the queue. */
class WatchedWorker<T> extends Worker<T> {
  readAt = 0;
  /** Jobs that it is working on. */
  active = 0;

  protected override async moveToActive(token: string, name?: string): Promise<Job<T>> {
    const job = await super.moveToActive(token, name);
    this.readAt = performance.now();
    return job;
  }

  protected override async callProcessJob(job: Job<T>, token: string, signal?: AbortSignal): Promise<void> {
    this.active++;
    try {
      await super.callProcessJob(job, token, signal);
    } finally {
      this.active--;
      this.readAt = performance.now();
    }
  }
}
