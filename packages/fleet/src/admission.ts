import { setImmediate as immediate } from "node:timers/promises";
import type { Logger } from "@flotilla/runtime";
import { ShutdownError } from "@flotilla/workflow";
import { type Job, Worker } from "bullmq";
import { closeWorker } from "./close-worker.ts";
import type { Connection } from "./connection.ts";
import { admissionQueue, queuePrefix } from "./keys.ts";
import type { AdmissionJob } from "./queues.ts";

/** Workflows that one supervisor has fetched and not started. */
const fetchedAtOnce = 50;

/** A fetched workflow that waits for room. */
interface Waiting {
  /** As BullMQ has it: 1 goes first. */
  priority: number;
  resolve(): void;
  reject(reason: Error): void;
}

export interface AdmissionOptions {
  connection: Connection;
  /** Workflows running at once, fleet-wide. */
  maxActive: number;
  /** Starts these workflows. */
  start(ids: readonly string[]): Promise<void>;
  logger: Logger;
}

/**
 * Takes workflows from the admission queue, by priority, and starts them while the fleet has room. The limit is soft:
 * each supervisor counts what it starts and ends itself, and learns of the others' from `measure`.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #worker: Worker<AdmissionJob>;
  #active = 0;
  /** Let in so far, and those among them whose start is over: only these are in a count of the fleet for sure. */
  #letInSoFar = 0;
  #startedSoFar = 0;
  #waiting: Waiting[] = [];
  #batch: { ids: string[]; started: Promise<void> } | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#worker = new Worker<AdmissionJob>(admissionQueue, (job: Job<AdmissionJob>) => this.#admit(job), {
      connection: options.connection,
      prefix: queuePrefix(admissionQueue),
      concurrency: fetchedAtOnce,
      lockDuration: 10_000,
      stalledInterval: 5000,
      maxStalledCount: 1_000_000,
      // The default of 15 s was most of how long the fleet needed to go on after an outage.
      runRetryDelay: 1000,
    });
    this.#worker.on("error", (error) => options.logger.warn({ err: error }, "admission queue"));
  }

  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
  }

  /** What was fetched and not started goes back: the look at a workflow that nobody has started adds its job again. */
  async stop(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(new ShutdownError());
    await closeWorker(this.#worker);
  }

  /**
   * Counts the workflows that are active in the whole fleet. What had not been started when the count was asked for is
   * added to it: without that, an answer that comes just after a workflow was let in would make room for another one.
   */
  async measure(count: () => Promise<number>): Promise<void> {
    const started = this.#startedSoFar;
    const active = await count();
    this.#active = active + this.#letInSoFar - started;
    this.#letIn();
  }

  /** A workflow that was active has ended. */
  ended(): void {
    this.#active--;
    this.#letIn();
  }

  async #admit({ data, opts }: Job<AdmissionJob>): Promise<void> {
    await this.#room(opts.priority ?? 0);
    try {
      await this.#startSoon(data.workflowId);
    } finally {
      this.#startedSoFar++;
    }
  }

  /** Resolves once there is room for one more, which is then taken. */
  #room(priority: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Behind those of its priority, before the less urgent ones, whoever was fetched first.
    const place = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(place < 0 ? this.#waiting.length : place, 0, { priority, resolve, reject });
    this.#letIn();
    return promise;
  }

  #letIn(): void {
    while (this.#active < this.#options.maxActive) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#active++;
      this.#letInSoFar++;
      next.resolve();
    }
  }

  /** What is let in in one turn of the event loop is started together. */
  #startSoon(workflowId: string): Promise<void> {
    if (this.#batch) {
      this.#batch.ids.push(workflowId);
      return this.#batch.started;
    }
    const ids = [workflowId];
    const started = immediate().then(() => {
      this.#batch = undefined;
      return this.#options.start(ids);
    });
    this.#batch = { ids, started };
    return started;
  }
}
