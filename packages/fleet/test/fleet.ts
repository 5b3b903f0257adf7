import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createFileBlobs,
  createFileArchive,
  createLogger,
  createMetrics,
  type Metrics,
  type RedisSettings,
  type Tracer,
} from "@flotilla/runtime";
import type {
  AgentDescriptor,
  BlobStore,
  Executor,
  Json,
  Archive,
  NotificationTarget,
  PhaseRequest,
  StreamWriter,
  TaskRequest,
  WorkflowEvent,
  WorkflowRequest,
  WorkflowView,
} from "@flotilla/workflow";
import { Cluster } from "ioredis";
import {
  AgentWorker,
  connect,
  type Connection,
  disconnect,
  isConnected,
  RedisStore,
  Scripts,
  Supervisor,
  WorkerRegistration,
} from "../src/index.ts";
import { shardTag, tagOf } from "../src/keys.ts";
import { fleetShards } from "../src/shards.ts";

/** Tenant of everything that a test fleet is asked for. */
export const tenant = "acme";

export const logger = createLogger({ role: "test", level: "silent" });

/** A task of the agent type `worker`. Its output is its input, unless the input is `{ act: <name> }`; see `TestFleet.acts`. */
export function task(id: string, input: Json = id, extra: Partial<TaskRequest> = {}): TaskRequest {
  return { id, agent: "worker", input, ...extra };
}

export function phase(name: string, tasks: TaskRequest[], extra: Partial<PhaseRequest> = {}): PhaseRequest {
  return { name, parallel: true, tasks, ...extra };
}

export function planOf(...phases: PhaseRequest[]): WorkflowRequest {
  return { input: "input", plan: { phases } };
}

/** How a workflow went. */
export interface Run {
  id: string;
  view: WorkflowView;
  events: WorkflowEvent[];
}

export interface FleetOptions {
  redis: RedisSettings;
  supervisors?: number;
  workers?: number;
  retentionMs?: number;
  idempotencyMs?: number;
  maxActiveWorkflows?: number;
  /** Whether what happens is archived, in a folder of the fleet. */
  hasArchive?: boolean;
  checkpointEveryMs?: number;
  /** Who tells callbacks; nobody unless given. */
  callbacks?: { target: NotificationTarget; giveUpAfterMs: number };
  /** Where what is archived is exported. */
  events?: StreamWriter;
  /** Of the API, the supervisors and the workers. */
  tracers?: { api: Tracer; supervisor: Tracer; agent: Tracer };
}

const descriptor = (type: string): AgentDescriptor => ({
  type,
  description: "",
  input: null,
  output: null,
  tools: [],
  mayPlan: type === "planner",
});

/** Supervisors, workers and a store in this process, over a real Redis. */
export class TestFleet {
  /** What a task with the input `{ act: <name> }` does. */
  readonly acts = new Map<string, Executor>();
  /** What a task does that is run alone, whatever its input; as any other unless set. */
  isolated: Executor | undefined;
  readonly store: RedisStore;
  readonly blobs: BlobStore;
  readonly archive: Archive;
  readonly connection: Connection;
  readonly scripts: Scripts;
  readonly #options: FleetOptions;
  readonly #directory: string;
  readonly #services: { start(): Promise<void>; stop(): Promise<void> }[] = [];

  static async start(options: FleetOptions): Promise<TestFleet> {
    const fleet = new TestFleet(options, await mkdtemp(join(tmpdir(), "flotilla-fleet-")));
    await isConnected(fleet.connection);
    await fleet.#add(fleet.store);
    for (const type of ["worker", "planner"]) {
      await fleet.#add(
        new WorkerRegistration({ redis: options.redis, descriptor: descriptor(type), workerId: "w", logger }),
      );
    }
    for (let n = 0; n < (options.workers ?? 1); n++) await fleet.addWorker(`w${n}`);
    for (let n = 0; n < (options.supervisors ?? 1); n++) await fleet.addSupervisor();
    return fleet;
  }

  private constructor(options: FleetOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    this.blobs = createFileBlobs(directory);
    this.archive = createFileArchive(directory);
    this.connection = connect(options.redis, "patient", logger);
    this.scripts = new Scripts(this.connection);
    const { redis, idempotencyMs = 60_000, hasArchive = false } = options;
    const archived = hasArchive ? { archive: this.archive } : {};
    const traced = options.tracers && { tracer: options.tracers.api };
    this.store = new RedisStore({ redis, blobs: this.blobs, idempotencyMs, logger, ...archived, ...traced });
  }

  /** Adds a process that runs tasks, of both agent types. */
  async addWorker(workerId: string, agentTypes: readonly string[] = ["worker", "planner"]): Promise<Metrics> {
    const metrics = createMetrics();
    for (const agentType of agentTypes) await this.#add(this.worker(workerId, agentType, metrics));
    return metrics;
  }

  /** A worker that is not started yet, and is the caller's to stop. */
  worker(workerId: string, agentType: string, metrics: Metrics): AgentWorker {
    const executor: Executor = async (claimed, journal, signal) => {
      const act = this.acts.get(nameOfAct(claimed.input));
      return act ? act(claimed, journal, signal) : { kind: "completed", output: claimed.input };
    };
    const { redis } = this.#options;
    const options = {
      redis,
      agentType,
      workerId,
      concurrency: 20,
      executor,
      blobs: this.blobs,
      archive: this.archive,
      metrics,
      logger,
    };
    const isolatedExecutor: Executor = (...run) => (this.isolated ?? executor)(...run);
    const traced = this.#options.tracers && { tracer: this.#options.tracers.agent };
    return new AgentWorker({ ...options, isolatedExecutor, drainMs: 200, ...traced });
  }

  async addSupervisor(metrics = createMetrics()): Promise<Supervisor> {
    const { redis, retentionMs = 3_600_000, maxActiveWorkflows = 10_000 } = this.#options;
    const defaults = { attempts: 3, concurrency: 1000 };
    const { hasArchive = false, checkpointEveryMs = 30_000, events, callbacks } = this.#options;
    const archive = { objects: this.archive, checkpointEveryMs, retentionMs: 3_600_000, ...(events && { events }) };
    const limits = { handoffTimeoutMs: 300_000, maxActiveWorkflows };
    const options = { redis, defaults, ...limits, retentionMs, metrics, logger };
    const traced = this.#options.tracers && { tracer: this.#options.tracers.supervisor };
    const called = callbacks && { callbacks };
    return this.#add(new Supervisor({ ...options, ...(hasArchive && { archive }), ...called, ...traced }));
  }

  async #add<S extends { start(): Promise<void>; stop(): Promise<void> }>(service: S): Promise<S> {
    this.#services.push(service);
    await service.start();
    return service;
  }

  async submit(request: WorkflowRequest): Promise<string> {
    return (await this.store.submit(tenant, request)).id;
  }

  /** Waits for the end of a workflow. */
  async end(id: string, timeoutMs = 25_000): Promise<Run> {
    const events: WorkflowEvent[] = [];
    const batches = await this.store.follow(tenant, id, 0, AbortSignal.timeout(timeoutMs));
    for await (const batch of batches ?? []) events.push(...batch);
    const view = await this.store.get(tenant, id);
    if (!view) throw new Error(`${id} is not there`);
    return { id, view, events };
  }

  async run(request: WorkflowRequest): Promise<Run> {
    return this.end(await this.submit(request));
  }

  /** Types of the events so far, in order. */
  async types(id: string): Promise<string[]> {
    const page = await this.store.events(tenant, id, 0, 10_000);
    return page?.events.map(({ type }) => type) ?? [];
  }

  /** As if takes had come without a gap for long: from now on leases are judged. */
  async calm(): Promise<void> {
    const shards = await fleetShards(this.connection);
    await Promise.all(shards.map((shard) => this.connection.hset(`${shardTag(shard)}:tick`, "calm", 1)));
  }

  /** Lets the lease of a task be over. */
  async expireLease(id: string, taskId: string): Promise<void> {
    await this.connection.zadd(`${tagOf(id)}:leases`, "XX", 1, `${id}|${taskId}`);
  }

  /** Makes a workflow due now. */
  async makeDue(id: string): Promise<void> {
    await this.connection.zadd(`${tagOf(id)}:due`, 1, id);
  }

  /** Names of the keys that hold `part`. */
  async keys(part: string): Promise<string[]> {
    const nodes = this.connection instanceof Cluster ? this.connection.nodes("master") : [this.connection];
    return (await Promise.all(nodes.map((node) => node.keys(`*${part}*`)))).flat();
  }

  async stop(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.stop();
    disconnect(this.connection);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function nameOfAct(input: Json): string {
  const act = input !== null && typeof input === "object" && !Array.isArray(input) ? input["act"] : undefined;
  return typeof act === "string" ? act : "";
}

/** The status of each task. */
export function statuses({ view }: Run): Record<string, string> {
  return Object.fromEntries(view.tasks.map(({ id, status }) => [id, status]));
}

/** The events of one task, as types in order. */
export function story({ events }: Run, taskId: string): string[] {
  return events.flatMap((event) => {
    if (event.type === "tasks.scheduled")
      return event.data.tasks.some((one) => one.taskId === taskId) ? ["task.scheduled"] : [];
    return "taskId" in event && event.taskId === taskId ? [event.type] : [];
  });
}
