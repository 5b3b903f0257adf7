import { setImmediate as immediate } from "node:timers/promises";
import { type CheckResult, type Logger, type RedisSettings, type Tracer, withLogFields } from "@flotilla/runtime";
import { ShutdownError } from "@flotilla/workflow";
import type { Job } from "bullmq";
import { JobReader } from "./job-reader.ts";
import { admissionQueue } from "./keys.ts";
import { consumed } from "./consumed.ts";
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

/** A workflow that is to be started, and from where its trace goes on. */
export interface Admitted {
  id: string;
  traceparent?: string | undefined;
}

export interface AdmissionOptions {
  redis: RedisSettings;
  /** Whether Redis can be reached. */
  isReachable(): boolean;
  /** Workflows running at once, fleet-wide. */
  maxActive: number;
  /** Starts these workflows. */
  start(workflows: readonly Admitted[]): Promise<void>;
  tracer: Tracer;
  logger: Logger;
}

/**
 * Takes workflows from the admission queue, by priority, and starts them while the fleet has room. The limit is soft:
 * each supervisor counts what it starts and ends itself, and learns of the others' from `measure`.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #reader: JobReader<AdmissionJob>;
  #active = 0;
  /** Let in so far, and those among them whose start is over: only these are in a count of the fleet for sure. */
  #letInSoFar = 0;
  #startedSoFar = 0;
  #waiting: Waiting[] = [];
  #batch: { workflows: Admitted[]; started: Promise<void> } | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#reader = new JobReader<AdmissionJob>({
      redis: options.redis,
      queue: admissionQueue,
      concurrency: fetchedAtOnce,
      process: (job) => this.#admit(job),
      isReachable: options.isReachable,
      logger: options.logger,
    });
  }

  async start(): Promise<void> {
    await this.#reader.start();
  }

  /** What was fetched and not started goes back: the look at a workflow that nobody has started adds its job again. */
  async stop(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(new ShutdownError());
    await this.#reader.close();
  }

  /** Whether the queue is being read; not ok only where nothing but a restart helps. */
  check(): CheckResult {
    return this.#reader.check();
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

  /** A workflow that was active has ended, or waits for a person. */
  madeRoom(): void {
    this.#active--;
    this.#letIn();
  }

  #admit(job: Job<AdmissionJob>): Promise<void> {
    const { workflowId: id, traceparent } = job.data;
    return withLogFields({ workflowId: id }, () =>
      consumed(this.#options.tracer, job, traceparent, async (span) => {
        await this.#room(job.opts.priority ?? 0);
        try {
          await this.#startSoon({ id, traceparent: span.traceparent });
        } finally {
          this.#startedSoFar++;
        }
      }),
    );
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
  #startSoon(workflow: Admitted): Promise<void> {
    if (this.#batch) {
      this.#batch.workflows.push(workflow);
      return this.#batch.started;
    }
    const workflows = [workflow];
    const started = immediate().then(() => {
      this.#batch = undefined;
      return this.#options.start(workflows);
    });
    this.#batch = { workflows, started };
    return started;
  }
}
