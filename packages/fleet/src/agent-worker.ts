import { setTimeout as delay } from "node:timers/promises";
import {
  type CheckResult,
  flotillaAttributes,
  type Logger,
  type Metrics,
  noTracer,
  type RedisSettings,
  type Service,
  type Span,
  type Tracer,
  withLogFields,
} from "@flotilla/runtime";
import {
  type BlobStore,
  ClaimLostError,
  type Dispatch,
  type Executor,
  isolationDeaths,
  type Journal,
  type Archive,
  ShutdownError,
} from "@flotilla/workflow";
import { type Job, WaitingError } from "bullmq";
import { shipperAt } from "./archive/shipper.ts";
import type { SharedCircuits } from "./circuits.ts";
import { type Claim, Claims, unresolved } from "./claims.ts";
import { consumed } from "./consumed.ts";
import { connect, type Connection, disconnect, isConnected } from "./connection.ts";
import { type DurableLink, openDurable } from "./durable-link.ts";
import { JobReader } from "./job-reader.ts";
import { agentQueue } from "./keys.ts";
import { isOutage } from "./outage.ts";
import type { ProviderLimits } from "./provider-limits.ts";
import { Queues, type TaskJob } from "./queues.ts";
import { Scripts } from "./scripts.ts";
import { StandingOrders } from "./standing-orders.ts";

/** How often claims are renewed; a cancel reaches a running task with the answer, so within 2 s. */
const renewEveryMs = 1500;
const repeatAfterMs = 250;

/** How long tasks that were told to stop may take to hand themselves back. */
const handBackMs = 2000;

export interface AgentWorkerOptions {
  redis: RedisSettings;
  agentType: string;
  /** Names this process in events; letters, digits and `.-_`. */
  workerId: string;
  /** Tasks at once. */
  concurrency: number;
  executor: Executor;
  /** Runs the tasks under which two workers have died already, each in a process of its own. */
  isolatedExecutor: Executor;
  /** Those that its executor goes by, to be shared with the fleet. */
  circuits?: SharedCircuits;
  /** The same. */
  limits?: ProviderLimits;
  blobs: BlobStore;
  /** The archive, which the level `archive` needs. */
  archive?: Archive;
  metrics: Metrics;
  logger: Logger;
  /** Traces nothing unless given. */
  tracer?: Tracer;
  /** How long running tasks may go on after `stop` before they are handed back, in ms. */
  drainMs?: number;
}

interface Running {
  claim: Claim;
  controller: AbortController;
}

/**
 * Runs the tasks of one agent type: claims what it finds in the queue, runs it, records how it ended. A task goes on
 * through any outage of Redis; what is to be written then is written when Redis is back, if the claim still stands.
 */
export class AgentWorker implements Service {
  readonly #options: AgentWorkerOptions;
  readonly #running = new Map<string, Running>();
  readonly #stopping = new AbortController();
  #connection: Connection | undefined;
  #durable: DurableLink | undefined;
  #queues: Queues | undefined;
  #reader: JobReader<TaskJob> | undefined;
  #orders: StandingOrders | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #handBackBy = Infinity;

  constructor(options: AgentWorkerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { redis, agentType, workerId, concurrency, circuits, blobs, archive, metrics, logger } = this.#options;
    this.#connection = connect(redis, "patient", logger);
    this.#durable = openDurable(redis, "patient", logger);
    await Promise.all([isConnected(this.#connection), this.#durable.isConnected()]);
    const scripts = new Scripts(this.#connection, this.#durable.writer);
    const claims = new Claims({
      scripts,
      shipper: shipperAt(redis.durability, scripts, archive),
      blobs,
      worker: workerId,
      onRefused: (script) => metrics.fencedWrites.inc({ script }),
    });
    this.#queues = new Queues(this.#connection);
    circuits?.share(scripts);
    this.#options.limits?.share(this.#connection);
    const orders = new StandingOrders({
      scripts,
      agentType,
      circuits,
      onPause: (isPaused) => void (isPaused ? this.#reader?.pause() : this.#reader?.resume()),
      logger,
    });
    this.#orders = orders;
    await this.#insist(() => orders.read());
    this.#reader = new JobReader<TaskJob>({
      redis,
      queue: agentQueue(agentType),
      concurrency,
      process: (job, token) => this.#consume(claims, job, token),
      isReachable: () => this.isReachable,
      isPaused: orders.isPaused,
      logger,
    });
    orders.start();
    this.#renewal = setInterval(() => void this.#renewAll(claims), renewEveryMs);
    metrics.runningTasks.set({ agent_type: agentType }, 0);
    // A series that begins at 1 hides its first step from `rate`.
    for (const outcome of ["completed", "failed"]) metrics.agentExecutions.inc({ agent_type: agentType, outcome }, 0);
    await this.#reader.start();
  }

  /** Whether Redis answers. */
  get isReachable(): boolean {
    return this.#connection?.status === "ready";
  }

  /** Tasks that are claimed and not ended. */
  get runningTasks(): number {
    return this.#running.size;
  }

  /** Whether it takes no task because its agent type is paused. */
  get isPaused(): boolean {
    return this.#orders?.isPaused ?? false;
  }

  /** Whether jobs are being read; not ok only where nothing but a restart helps. */
  check(): CheckResult {
    return this.#reader?.check() ?? { ok: true };
  }

  async stop(): Promise<void> {
    const { drainMs = 3000, logger } = this.#options;
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new ShutdownError());
    this.#orders?.stop();
    await this.#reader?.pause();
    const deadline = Date.now() + drainMs;
    while (this.#running.size > 0 && Date.now() < deadline) await delay(20);
    for (const { controller } of this.#running.values()) controller.abort(new ShutdownError());
    this.#handBackBy = Date.now() + handBackMs;
    while (this.#running.size > 0 && Date.now() < this.#handBackBy) await delay(20);
    clearInterval(this.#renewal);
    if (this.#running.size > 0) logger.warn({ tasks: this.#running.size }, "tasks did not stop");
    await this.#reader?.close();
    await this.#queues?.close();
    this.#durable?.close();
    if (this.#connection) disconnect(this.#connection);
  }

  #consume(claims: Claims, job: Job<TaskJob>, token: string | undefined): Promise<void> {
    const { workflowId, taskId, attempt, traceparent } = job.data;
    const { tracer = noTracer } = this.#options;
    return withLogFields({ workflowId, taskId, attempt }, () =>
      consumed(tracer, job, traceparent, (span) => this.#process(claims, job, token, span)),
    );
  }

  async #process(claims: Claims, job: Job<TaskJob>, token: string | undefined, span: Span): Promise<void> {
    const { agentType, metrics, logger } = this.#options;
    // Fetched as this process began to stop, or not claimed by then: another worker is to find it at once. So is what a
    // read that was under way as the agent type was paused brought along: it stays in the queue.
    if (this.#stopping.signal.aborted || this.isPaused) return putBack(job, token);
    const holder = claims.newHolder();
    const claim = await this.#insist(() => claims.claim(job.data, holder)).catch((error: unknown) => {
      if (error instanceof ShutdownError) return putBack(job, token);
      throw error;
    });
    if (typeof claim === "string") {
      metrics.agentExecutions.inc({ agent_type: agentType, outcome: claim });
      span.set({ [flotillaAttributes.outcome]: claim });
      return;
    }
    const startedAt = performance.now();
    const controller = new AbortController();
    this.#running.set(holder, { claim, controller });
    metrics.runningTasks.set({ agent_type: agentType }, this.#running.size);
    let outcome: string;
    try {
      outcome = await this.#run(claims, claim, span.traceparent, controller.signal);
    } finally {
      this.#running.delete(holder);
      metrics.runningTasks.set({ agent_type: agentType }, this.#running.size);
    }
    metrics.agentExecutions.inc({ agent_type: agentType, outcome });
    metrics.taskDurationSeconds.observe((performance.now() - startedAt) / 1000);
    const { workflowId, taskId, attempt, epoch } = claim;
    span.set({
      [flotillaAttributes.task]: taskId,
      [flotillaAttributes.attempt]: attempt,
      [flotillaAttributes.epoch]: epoch,
      [flotillaAttributes.outcome]: outcome,
    });
    logger.debug({ workflowId, taskId, attempt, epoch, outcome }, "task ended");
  }

  /** Runs a claimed task to its record; answers how that went, as the metrics name it. */
  async #run(claims: Claims, claim: Claim, traceparent: string | undefined, signal: AbortSignal): Promise<string> {
    const executor = claim.deaths < isolationDeaths ? this.#options.executor : this.#options.isolatedExecutor;
    try {
      const task = await this.#insist(() => claims.task(claim)).catch(unresolved);
      const trace = traceparent === undefined ? {} : { traceparent };
      const outcome =
        "kind" in task ? task : await executor({ ...task, ...trace }, this.#journal(claims, claim), signal);
      const scheduled = await this.#insist(() => claims.record(claim, outcome));
      if (!scheduled) return "superseded";
      if (scheduled.length > 0) await this.#dispatch(claim.workflowId, scheduled, traceparent);
      return outcome.kind;
    } catch (error) {
      if (error instanceof ShutdownError) {
        await this.#release(claims, claim);
        return "released";
      }
      if (error instanceof ClaimLostError) return error.reason;
      throw error;
    }
  }

  /** Adds the jobs of what a record has scheduled; should it fail, a look adds them 5 s later. */
  async #dispatch(workflowId: string, scheduled: readonly Dispatch[], traceparent: string | undefined): Promise<void> {
    const items = scheduled.map((dispatch) => ({ workflowId, dispatch, traceparent }));
    await this.#queues
      ?.dispatch(items)
      .catch((error: unknown) => this.#options.logger.warn({ err: error, workflowId }, "dispatch left to a look"));
  }

  /** Hands a task back, which spends nothing; where Redis is away for too long, its lease runs out instead. */
  async #release(claims: Claims, claim: Claim): Promise<void> {
    for (;;) {
      try {
        await claims.release(claim, "shutdown");
        return;
      } catch (error) {
        if (!isOutage(error) || Date.now() + repeatAfterMs >= this.#handBackBy) {
          this.#options.logger.warn(
            { err: error, workflowId: claim.workflowId, taskId: claim.taskId },
            "not handed back",
          );
          return;
        }
        await delay(repeatAfterMs);
      }
    }
  }

  #journal(claims: Claims, claim: Claim): Journal {
    const journal = claims.journal(claim);
    return {
      load: () => this.#insist(() => journal.load()),
      record: (entry, payment) => this.#insist(() => journal.record(entry, payment)),
      hold: (hold, atMost) => this.#insist(() => journal.hold(hold, atMost)),
      release: (hold) => this.#insist(() => journal.release(hold)),
      share: (access) => this.#insist(() => journal.share(access)),
      intend: (entry) => this.#insist(() => journal.intend(entry)),
      conclude: (entry) => this.#insist(() => journal.conclude(entry)),
      withdraw: (key) => this.#insist(() => journal.withdraw(key)),
      progress: (message) => this.#insist(() => journal.progress(message)),
    };
  }

  /** Repeats a call until Redis answers; only what the call itself decides, and a second stop, end it. */
  async #insist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isOutage(error)) throw error;
        if (this.#stopping.signal.aborted) throw this.#stopping.signal.reason;
        await delay(repeatAfterMs);
      }
    }
  }

  async #renewAll(claims: Claims): Promise<void> {
    await Promise.all(
      [...this.#running.values()].map(async ({ claim, controller }) => {
        const answer = await claims.renew(claim).catch(() => "renewed" as const);
        if (answer !== "renewed") controller.abort(new ClaimLostError(answer));
      }),
    );
  }
}

/** Puts a job back into its queue, and tells BullMQ by that error that there is nothing more to be done about it. */
async function putBack(job: Job<TaskJob>, token: string | undefined): Promise<never> {
  // One that cannot be put back comes back when its lock has run out.
  await job.moveToWait(token).catch(() => undefined);
  throw new WaitingError();
}
