import { setTimeout as delay } from "node:timers/promises";
import type { Logger, Metrics, RedisSettings, Service } from "@flotilla/runtime";
import { type BlobStore, ClaimLostError, type Dispatch, type Executor, ShutdownError } from "@flotilla/workflow";
import { type Job, Worker } from "bullmq";
import { type Claim, Claims, unresolved } from "./claims.ts";
import { closeWorker } from "./close-worker.ts";
import { connect, type Connection, disconnect, isConnected } from "./connection.ts";
import { agentQueue, queuePrefix } from "./keys.ts";
import { Queues, type TaskJob } from "./queues.ts";
import { Scripts } from "./scripts.ts";

const renewEveryMs = 2000;
const repeatAfterMs = 250;

/**
 * BullMQ's own failure detector only has to bring back jobs that were fetched and never claimed. A fetch that failed is
 * tried again after a second: the default of 15 s was most of how long the fleet needed to go on after an outage.
 */
const stallOptions = { lockDuration: 10_000, stalledInterval: 5000, maxStalledCount: 1_000_000, runRetryDelay: 1000 };

export interface AgentWorkerOptions {
  redis: RedisSettings;
  agentType: string;
  /** Names this process in events; letters, digits and `.-_`. */
  workerId: string;
  /** Tasks at once. */
  concurrency: number;
  executor: Executor;
  blobs: BlobStore;
  metrics: Metrics;
  logger: Logger;
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
  #queueConnection: Connection | undefined;
  #queues: Queues | undefined;
  #worker: Worker<TaskJob> | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(options: AgentWorkerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { redis, agentType, workerId, concurrency, blobs, metrics, logger } = this.#options;
    this.#connection = connect(redis, "patient", logger);
    this.#queueConnection = connect(redis, "blocking", logger);
    await isConnected(this.#connection);
    const claims = new Claims({
      scripts: new Scripts(this.#connection),
      blobs,
      worker: workerId,
      onRefused: (script) => metrics.fencedWrites.inc({ script }),
    });
    this.#queues = new Queues(this.#connection);
    const queue = agentQueue(agentType);
    this.#worker = new Worker<TaskJob>(queue, (job: Job<TaskJob>) => this.#process(claims, job.data), {
      connection: this.#queueConnection,
      prefix: queuePrefix(queue),
      concurrency,
      ...stallOptions,
    });
    this.#worker.on("error", (error) => logger.warn({ err: error }, "queue"));
    this.#renewal = setInterval(() => void this.#renewAll(claims), renewEveryMs);
    await this.#worker.waitUntilReady();
  }

  async stop(): Promise<void> {
    const { drainMs = 3000, logger } = this.#options;
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new ShutdownError());
    await this.#worker?.pause(true);
    const deadline = Date.now() + drainMs;
    while (this.#running.size > 0 && Date.now() < deadline) await delay(20);
    for (const { controller } of this.#running.values()) controller.abort(new ShutdownError());
    const handedBack = Date.now() + drainMs;
    while (this.#running.size > 0 && Date.now() < handedBack) await delay(20);
    clearInterval(this.#renewal);
    if (this.#running.size > 0) logger.warn({ tasks: this.#running.size }, "tasks did not stop");
    if (this.#worker) await closeWorker(this.#worker);
    await this.#queues?.close();
    for (const connection of [this.#connection, this.#queueConnection]) if (connection) disconnect(connection);
  }

  async #process(claims: Claims, job: TaskJob): Promise<void> {
    const { agentType, metrics, logger } = this.#options;
    const holder = claims.newHolder();
    const claim = await this.#insist(() => claims.claim(job, holder));
    if (typeof claim === "string") {
      metrics.agentExecutions.inc({ agent_type: agentType, outcome: claim });
      return;
    }
    const startedAt = performance.now();
    const controller = new AbortController();
    this.#running.set(holder, { claim, controller });
    let outcome: string;
    try {
      outcome = await this.#run(claims, claim, controller.signal);
    } finally {
      this.#running.delete(holder);
    }
    metrics.agentExecutions.inc({ agent_type: agentType, outcome });
    metrics.taskDurationSeconds.observe((performance.now() - startedAt) / 1000);
    const { workflowId, taskId, attempt, epoch } = claim;
    logger.debug({ workflowId, taskId, attempt, epoch, outcome }, "task ended");
  }

  /** Runs a claimed task to its record; answers how that went, as the metrics name it. */
  async #run(claims: Claims, claim: Claim, signal: AbortSignal): Promise<string> {
    const { executor, logger } = this.#options;
    try {
      const task = await this.#insist(() => claims.task(claim)).catch(unresolved);
      const outcome = "kind" in task ? task : await executor(task, this.#journal(claims, claim), signal);
      const scheduled = await this.#insist(() => claims.record(claim, outcome));
      if (!scheduled) return "superseded";
      if (scheduled.length > 0) await this.#dispatch(claim.workflowId, scheduled);
      return outcome.kind;
    } catch (error) {
      if (error instanceof ShutdownError) {
        await claims
          .release(claim, "shutdown")
          .catch((cause: unknown) => logger.warn({ err: cause }, "not handed back"));
        return "released";
      }
      if (error instanceof ClaimLostError) return error.reason;
      throw error;
    }
  }

  /** Adds the jobs of what a record has scheduled; should it fail, a look adds them 5 s later. */
  async #dispatch(workflowId: string, scheduled: readonly Dispatch[]): Promise<void> {
    const items = scheduled.map((dispatch) => ({ workflowId, dispatch }));
    await this.#queues
      ?.dispatch(items)
      .catch((error: unknown) => this.#options.logger.warn({ err: error, workflowId }, "dispatch left to a look"));
  }

  #journal(claims: Claims, claim: Claim) {
    const journal = claims.journal(claim);
    return {
      load: () => this.#insist(() => journal.load()),
      record: (entry: Parameters<typeof journal.record>[0]) => this.#insist(() => journal.record(entry)),
      progress: (message: string) => this.#insist(() => journal.progress(message)),
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

/** Whether Redis, and not the call, was at fault: the call may be repeated. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "MaxRetriesPerRequestError" || error.name === "AbortError") return true;
  return /^(Command timed out|Connection is closed|Stream isn't writeable|LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|MISCONF|UNBLOCKED)|ECONN|ETIMEDOUT|EPIPE|Socket timeout/.test(
    error.message,
  );
}
