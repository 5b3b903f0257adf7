import { setTimeout as delay } from "node:timers/promises";
import {
  type CheckResult,
  type Logger,
  type Metrics,
  noTracer,
  type RedisSettings,
  type Service,
  type Tracer,
} from "@flotilla/runtime";
import type { AgentCatalog, Look, Archive, NotificationTarget, StreamWriter } from "@flotilla/workflow";
import { Admission } from "./admission.ts";
import { Relay } from "./archive/relay.ts";
import { connect, type Connection, disconnect, isConnected } from "./connection.ts";
import { Exporter } from "./export/exporter.ts";
import { FleetMetrics } from "./fleet-metrics.ts";
import { admissionQueue, agentQueue, wakeChannel } from "./keys.ts";
import { mendQueues } from "./mend.ts";
import { Notifier } from "./notify/notifier.ts";
import { Queues } from "./queues.ts";
import { Reconciler } from "./reconcile.ts";
import { agentCatalog } from "./registry.ts";
import { Scheduler } from "./schedules/scheduler.ts";
import { Scripts } from "./scripts.ts";
import { fleetShards } from "./shards.ts";

/** The loop looks at least this often, whether it was woken or not. */
const idleMs = 1000;

/** A loop that has not turned for this long is stuck: each answer of Redis is waited for 5 s at most, a few in a row. */
const stuckAfterMs = 30_000;

/** How long the look that is under way may take to end when the process stops. */
const finishWithinMs = 2000;

/** How often agent types and the number of active workflows are read, in ms. */
const refreshMs = 1000;

/** How often the keys of the queues are looked at for damage, in ms. */
const mendMs = 5000;

export interface SupervisorOptions {
  redis: RedisSettings;
  defaults: Look["defaults"];
  /** How long one try of what was handed over may take, in ms. */
  handoffTimeoutMs: number;
  /** Workflows running at once, fleet-wide; a little more may slip through. */
  maxActiveWorkflows: number;
  /** How long a workflow is kept after its end, in ms. */
  retentionMs: number;
  /** Where workflows outlive Redis; without it they end with their retention. */
  archive?: {
    objects: Archive;
    checkpointEveryMs: number;
    retentionMs: number;
    /** Where every event goes that is archived; nowhere unless set. */
    events?: StreamWriter;
  };
  /** Who tells callbacks, and how long one that cannot be told is tried, in ms; nobody is told without. */
  callbacks?: { target: NotificationTarget; giveUpAfterMs: number };
  metrics: Metrics;
  logger: Logger;
  /** Traces nothing unless given. */
  tracer?: Tracer;
}

/** Admits workflows and keeps looking at them; see `Reconciler`. */
export class Supervisor implements Service {
  readonly #options: SupervisorOptions;
  /** When each shard is to be swept next, in the time of `performance.now()`. */
  readonly #dueAt = new Map<string, number>();
  #connections: Connection[] = [];
  #queues: Queues | undefined;
  #admission: Admission | undefined;
  #relay: Relay | undefined;
  #notifier: Notifier | undefined;
  #scheduler: Scheduler | undefined;
  #exporter: Exporter | undefined;
  #loop: Promise<void> | undefined;
  #timers: NodeJS.Timeout[] = [];
  #isStopping = false;
  #wake: () => void = () => undefined;
  #catalog: AgentCatalog = new Map();
  #lastSweepAt = -Infinity;
  #lastTurnAt = -Infinity;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { redis, logger, metrics, defaults, handoffTimeoutMs, retentionMs, maxActiveWorkflows, archive, callbacks } =
      this.#options;
    const { tracer = noTracer } = this.#options;
    const connection = connect(redis, "patient", logger);
    const subscriber = connect(redis, "blocking", logger);
    this.#connections = [connection, subscriber];
    await Promise.all([isConnected(connection), isConnected(subscriber)]);

    const shards = await fleetShards(connection);
    const scripts = new Scripts(connection);
    const queues = new Queues(connection);
    this.#queues = queues;
    const reconciler = new Reconciler({
      scripts,
      queues,
      defaults,
      handoffTimeoutMs,
      retentionMs,
      hasArchive: archive !== undefined,
      hasExport: archive?.events !== undefined,
      metrics,
      logger,
      tracer,
      agents: () => this.#catalog,
      readAgents: () => this.#refresh(scripts),
      onDue: (shard, inMs) => this.#due(shard, inMs),
      onRoom: () => this.#admission?.madeRoom(),
    });
    const fleetMetrics = new FleetMetrics({ scripts, queues, metrics, shards });

    subscriber.on("message", (channel: string) => this.#due(channel.slice(2, 4), 0));
    await subscriber.subscribe(...shards.map(wakeChannel));

    await this.#refresh(scripts);
    const admission = new Admission({
      redis,
      isReachable: () => connection.status === "ready",
      maxActive: maxActiveWorkflows,
      start: (workflows) => reconciler.start(workflows),
      tracer,
      logger,
    });
    this.#admission = admission;
    await admission.measure(() => fleetMetrics.sampleActive());
    await admission.start();

    this.#every(refreshMs, async () => {
      await Promise.all([this.#refresh(scripts), admission.measure(() => fleetMetrics.sampleActive())]);
    });
    this.#every(mendMs, () => mendQueues({ scripts, metrics, logger }, [admissionQueue, ...this.#queueNames()]));
    this.#every(5 * refreshMs, async () => {
      await Promise.all([
        fleetMetrics.sampleQueues([...this.#catalog.keys()]),
        fleetMetrics.sampleItems(),
        fleetMetrics.sampleCircuits(),
      ]);
    });
    this.#loop = this.#run(reconciler, shards);
    this.#relay =
      archive &&
      new Relay({
        scripts,
        connection,
        objects: archive.objects,
        shards,
        checkpointEveryMs: archive.checkpointEveryMs,
        archiveRetentionMs: archive.retentionMs,
        hasExport: archive.events !== undefined,
        metrics,
        logger,
      });
    this.#relay?.start();
    this.#notifier = callbacks && new Notifier({ scripts, shards, ...callbacks, metrics, logger });
    this.#notifier?.start();
    this.#scheduler = new Scheduler({ scripts, shards, admit: (workflows) => queues.admit(workflows), logger });
    this.#scheduler.start();
    this.#exporter =
      archive?.events &&
      new Exporter({
        scripts,
        events: archive.events,
        shards,
        archiveLagMs: () => this.#relay?.lagMs ?? 0,
        metrics,
        logger,
      });
    this.#exporter?.start();
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#wake();
    await this.#admission?.stop();
    const finished = () =>
      Promise.race([
        Promise.all([
          this.#loop,
          this.#relay?.stop(),
          this.#exporter?.stop(),
          this.#notifier?.stop(),
          this.#scheduler?.stop(),
        ]),
        delay(finishWithinMs, undefined, { ref: false }),
      ]);
    await finished();
    // What is still waited for then rejects; the look that it belongs to is taken over by another supervisor.
    for (const connection of this.#connections) disconnect(connection);
    await finished();
    await this.#queues?.close();
  }

  /** Ms since the loop last took what was due: grows while Redis is away, or the loop stands. */
  get idleForMs(): number {
    return performance.now() - this.#lastSweepAt;
  }

  /**
   * Whether the loop turns and the queue is read; not ok only where nothing but a restart helps. While Redis is away the
   * loop turns all the same, from one refusal to the next.
   */
  check(): CheckResult {
    const turnedMs = Math.round(performance.now() - this.#lastTurnAt);
    if (turnedMs >= stuckAfterMs) return { ok: false, detail: `the loop last turned ${turnedMs} ms ago` };
    return this.#admission?.check() ?? { ok: true };
  }

  async #run(reconciler: Reconciler, shards: readonly string[]): Promise<void> {
    while (!this.#isStopping) {
      const now = performance.now();
      this.#lastTurnAt = now;
      const isFull = now - this.#lastSweepAt >= idleMs;
      const due = shards.filter((shard) => isFull || (this.#dueAt.get(shard) ?? 0) <= now);
      for (const shard of due) this.#dueAt.set(shard, now + idleMs);
      try {
        if (due.length > 0) await reconciler.sweep(due);
        if (isFull) this.#lastSweepAt = now;
        await this.#sleep();
      } catch (error) {
        if (this.#isStopping) return;
        this.#options.logger.warn({ err: error }, "a sweep failed");
        // Nobody knows it now: what was measured before would say that all is well.
        this.#options.metrics.dueLagSeconds.remove();
        await delay(250);
      }
    }
  }

  /** Waits until some shard is due. */
  async #sleep(): Promise<void> {
    const ms = Math.min(...this.#dueAt.values(), this.#lastSweepAt + idleMs) - performance.now();
    if (ms <= 0 || this.#isStopping) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  #due(shard: string, inMs: number): void {
    const at = performance.now() + inMs;
    if (at >= (this.#dueAt.get(shard) ?? Infinity)) return;
    this.#dueAt.set(shard, at);
    this.#wake();
  }

  #queueNames(): string[] {
    return [...this.#catalog.keys()].map(agentQueue);
  }

  async #refresh(scripts: Scripts): Promise<AgentCatalog> {
    this.#catalog = await agentCatalog(scripts);
    return this.#catalog;
  }

  #every(ms: number, work: () => Promise<void>): void {
    let isRunning = false;
    const run = async () => {
      if (isRunning) return;
      isRunning = true;
      await work().catch((error: unknown) => this.#options.logger.warn({ err: error }, "not refreshed"));
      isRunning = false;
    };
    this.#timers.push(setInterval(() => void run(), ms));
  }
}
