import { setTimeout as delay } from "node:timers/promises";
import { type Logger, noTracer, type RedisSettings, type Service, type Tracer } from "@flotilla/runtime";
import {
  type AgentView,
  type ArtifactView,
  type BlobStore,
  type EventBody,
  type FailureQuery,
  forkLog,
  type ForkOutcome,
  type Inbox,
  isSettled,
  type Json,
  type ListQuery,
  neededOutputs,
  type Archive,
  planEditIssues,
  Priority,
  projectArtifacts,
  projectTask,
  projectWorkflow,
  type RetryOutcome,
  type Schedules,
  shardOf,
  type SignalOutcome,
  type Spend,
  StoreUnavailableError,
  type SubmitOutcome,
  type TaskView,
  UnknownOutcomeError,
  type WorkflowEvent,
  type WorkflowRequest,
  type WorkflowState,
  WorkflowStatus,
  type WorkflowStore,
  type WorkflowView,
} from "@flotilla/workflow";
import { agentViews } from "./agent-views.ts";
import type { History } from "./archive/archive.ts";
import { Past } from "./archive/past.ts";
import { type Shipper, shipperAt } from "./archive/shipper.ts";
import { connect, type Connection, disconnect, isConnected } from "./connection.ts";
import { type DurableLink, openDurable } from "./durable-link.ts";
import { type FailurePage, listFailures } from "./failed-work.ts";
import { forkItem } from "./fork-item.ts";
import { RedisInbox } from "./inbox.ts";
import { fleetTag, idempotencyPlace, newWorkflowId, tagOf } from "./keys.ts";
import { listWorkflows } from "./listing.ts";
import { advance, eventOf, everyLine, type FoldedLog, type Line, parseLines } from "./log.ts";
import { LruMap } from "./lru-map.ts";
import { failedWrite } from "./outage.ts";
import { readOutput } from "./outputs.ts";
import { Queues } from "./queues.ts";
import { agentCatalog } from "./registry.ts";
import { type Reply, Scripts } from "./scripts.ts";
import { RedisSchedules } from "./schedules/schedules.ts";
import { fleetShards } from "./shards.ts";
import { firstLookMs, submitItem } from "./submission.ts";
import { surroundings } from "./surroundings.ts";

/** How often open streams look for new lines, in ms; all streams of a process look together. */
const followEveryMs = 50;

/** How long a workflow is in Redis again that somebody goes on from after Redis had forgotten it, in ms. */
const revivedMs = 3_600_000;

/** Workflows whose folded state is kept between reads. */
const cachedWorkflows = 200;

export interface StoreOptions {
  redis: RedisSettings;
  blobs: BlobStore;
  /** How long an idempotency key is remembered, in ms. */
  idempotencyMs: number;
  /** Where workflows are read that Redis has forgotten; nowhere unless set. */
  archive?: Archive;
  logger: Logger;
  /** Traces nothing unless given. */
  tracer?: Tracer;
}

/** Part of the log of a workflow. */
interface LogPage {
  status: WorkflowStatus;
  hasEnded: boolean;
  tip: number;
  lines: readonly Line[];
  spend: Spend;
}

/** The fleet as the HTTP API sees it, over a connection that fails fast. */
export class RedisStore implements WorkflowStore, Service {
  readonly #options: StoreOptions;
  readonly #connection: Connection;
  readonly #durable: DurableLink;
  readonly #scripts: Scripts;
  readonly #queues: Queues;
  readonly #inbox: Inbox;
  readonly #schedules: Schedules;
  readonly #past: Past | undefined;
  readonly #shipper: Shipper | undefined;
  readonly #cache = new LruMap<string, FoldedLog>(cachedWorkflows);
  #shards: readonly string[] = [];
  #admissions: { id: string; priority: Priority; traceparent?: string }[] = [];

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#connection = connect(options.redis, "failFast", options.logger);
    this.#durable = openDurable(options.redis, "failFast", options.logger);
    this.#scripts = new Scripts(this.#connection, this.#durable.writer);
    this.#queues = new Queues(this.#connection);
    this.#past = options.archive && new Past(options.archive);
    this.#shipper = shipperAt(options.redis.durability, this.#scripts, options.archive);
    const guard = <T>(answer: Promise<T>) => this.#guard(answer);
    const write = (script: string, id: string, item: (string | number)[]) => this.#write(script, id, item);
    this.#inbox = new RedisInbox({
      scripts: this.#scripts,
      shards: () => this.#shards,
      guard,
      write,
      planEditIssues: async (tenant, id, by, edit) => {
        const [state, agents] = await Promise.all([this.#state(tenant, id), guard(agentCatalog(this.#scripts))]);
        return state ? planEditIssues(state, by, edit, agents) : [];
      },
    });
    const writeFleet = (script: string, item: (string | number)[], head?: (string | number)[]) =>
      this.#scripts.durably(script, fleetTag, item, head).catch((error: unknown) => {
        throw failedWrite(error);
      });
    this.#schedules = new RedisSchedules({ scripts: this.#scripts, guard, write: writeFleet });
  }

  async start(): Promise<void> {
    await Promise.all([isConnected(this.#connection), this.#durable.isConnected()]);
    this.#shards = await fleetShards(this.#connection);
  }

  async stop(): Promise<void> {
    this.#durable.close();
    disconnect(this.#connection);
    await this.#queues.close().catch(() => undefined);
  }

  /** What waits for a person. */
  get inbox(): Inbox {
    return this.#inbox;
  }

  /** What starts workflows at their times. */
  get schedules(): Schedules {
    return this.#schedules;
  }

  /** The queues, for boards; read only. */
  get queues(): Queues {
    return this.#queues;
  }

  async submit(
    tenant: string,
    request: WorkflowRequest,
    idempotency?: { key: string; bodyHash: string },
  ): Promise<SubmitOutcome> {
    const work = { tenant, request, ...this.#trace() };
    const { id, item } = submitItem(this.#shards, work, idempotency, this.#options.idempotencyMs);
    const { priority = "normal", startAt } = request;
    const outcome = outcomeOf(await this.#write("submit", id, item));
    // A submit that is repeated is one of which nobody knows whether it was archived.
    if (outcome.kind !== "conflict") await this.#archive(outcome.id);
    if (outcome.kind === "stored" && startAt === undefined) this.#admitSoon(outcome.id, priority);
    return outcome;
  }

  async get(tenant: string, id: string): Promise<WorkflowView | undefined> {
    const read = await this.#read(tenant, id);
    if (!read) return undefined;
    const { state, spend } = read;
    const [outputs, around] = await Promise.all([
      this.#outputs(tenant, id, neededOutputs(state)),
      this.#guard(surroundings(this.#scripts, state)),
    ]);
    return projectWorkflow(state, (taskId) => outputs.get(taskId), around, spend);
  }

  list(query: ListQuery): ReturnType<WorkflowStore["list"]> {
    return listWorkflows(
      { scripts: this.#scripts, shards: this.#shards, guard: (answer) => this.#guard(answer) },
      query,
    );
  }

  failures(query: FailureQuery): Promise<FailurePage | undefined> {
    return listFailures(
      {
        list: (wanted) => this.list(wanted),
        state: (id) => this.#state(query.tenant, id),
        lines: async (id, from) => (await this.#page(query.tenant, id, from, everyLine))?.lines ?? [],
      },
      query,
    );
  }

  async task(tenant: string, id: string, taskId: string): Promise<{ task: TaskView; settled: boolean } | undefined> {
    const state = await this.#state(tenant, id);
    const task = state?.tasks.get(taskId);
    if (!state || !task) return undefined;
    const isLogged = task.stage.kind !== "completed" || task.stage.output.inline !== undefined;
    const outputs = await this.#outputs(tenant, id, isLogged ? [] : [taskId]);
    const view = projectTask(state, task, (needed) => outputs.get(needed), { maxOutputBytes: Infinity });
    return { task: view, settled: isSettled(task.stage) };
  }

  async artifacts(tenant: string, id: string): Promise<ArtifactView[] | undefined> {
    const state = await this.#state(tenant, id);
    return state && projectArtifacts(state);
  }

  async events(
    tenant: string,
    id: string,
    after: number,
    limit: number,
  ): Promise<{ events: WorkflowEvent[]; ended: boolean } | undefined> {
    const page = await this.#page(tenant, id, after + 1, limit);
    if (!page) return undefined;
    const events = page.lines.map(eventOf);
    return { events, ended: page.hasEnded && (events.at(-1)?.seq ?? after) >= page.tip };
  }

  async follow(
    tenant: string,
    id: string,
    after: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<WorkflowEvent[]> | undefined> {
    const first = await this.events(tenant, id, after, 1000);
    return first && this.#follow(tenant, id, after, first, signal);
  }

  async *#follow(
    tenant: string,
    id: string,
    after: number,
    first: { events: WorkflowEvent[]; ended: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<WorkflowEvent[]> {
    let page: { events: WorkflowEvent[]; ended: boolean } | undefined = first;
    let seen = after;
    while (page) {
      if (page.events.length > 0) yield page.events;
      seen = page.events.at(-1)?.seq ?? seen;
      if (page.ended) return;
      await this.#tick(signal);
      page = await this.events(tenant, id, seen, 1000);
    }
  }

  async cancel(
    tenant: string,
    id: string,
    reason?: string,
    compensates?: "compensates",
  ): Promise<WorkflowStatus | undefined> {
    const data = { ...(reason === undefined ? {} : { reason }), ...(compensates ? { compensate: true } : {}) };
    const event = { type: "cancel.requested", data };
    const item = [id, tenant, "cancel", JSON.stringify(event)];
    const status = await this.#write("append", id, item);
    return status === null ? undefined : WorkflowStatus.parse(status);
  }

  async signal(
    tenant: string,
    id: string,
    signal: { name: string; data?: Json; by: string },
    idempotency?: { key: string; bodyHash: string },
  ): Promise<SignalOutcome | undefined> {
    const hash = idempotency ? idempotencyPlace(tenant, idempotency.key).hash : "";
    const event: EventBody = { type: "signal.received", data: signal };
    const item = [id, tenant, hash, idempotency?.bodyHash ?? "", JSON.stringify(event)];
    const reply = await this.#write("signal", id, item);
    if (reply === null) return undefined;
    // See the header of lua/signal.lua for the shape.
    const [kind, status] = reply as [SignalOutcome["kind"], string?];
    return kind === "conflict" ? { kind } : { kind, status: WorkflowStatus.parse(status) };
  }

  async retry(tenant: string, id: string, idempotencyKey?: string): Promise<RetryOutcome | undefined> {
    const key = idempotencyKey === undefined ? "" : idempotencyPlace(tenant, idempotencyKey).hash;
    const event: EventBody = { type: "retry.requested", data: {} };
    const item = [id, tenant, key, JSON.stringify(event)];
    const reply = await this.#reviving(tenant, id, () => this.#write("retry", id, item));
    if (reply === null) return undefined;
    // See the header of lua/retry.lua for the shape.
    const [kind, status] = reply as [RetryOutcome["kind"], string];
    return { kind, status: WorkflowStatus.parse(status) };
  }

  async fork(
    tenant: string,
    source: string,
    wanted: { fromSeq: number; input?: WorkflowRequest["input"] },
    idempotency?: { key: string; bodyHash: string },
  ): Promise<ForkOutcome | undefined> {
    const page = await this.#page(tenant, source, 1, everyLine);
    if (!page) return undefined;
    const id = newWorkflowId([shardOf(source)]);
    const log = page.lines.map(eventOf);
    const fork = forkLog(id, source, log, { ...wanted, ...this.#trace() });
    if (fork.kind === "unforkable") return fork;
    // The key belongs to this call on this workflow: it is on the shard of the source, where a submit would not meet it.
    const hash = idempotency ? idempotencyPlace(tenant, `${source}\n${idempotency.key}`).hash : "";
    const key = [hash, idempotency?.bodyHash ?? "", this.#options.idempotencyMs];
    const { priority = "normal", startAt } = fork.state.request;
    const item = forkItem(fork, key, startAt === undefined ? firstLookMs : 0);
    const answer = await this.#reviving(tenant, source, () => this.#write("fork", id, item));
    if (answer === null) return undefined;
    const outcome = outcomeOf(answer);
    if (outcome.kind === "stored" && outcome.status === "queued" && startAt === undefined)
      this.#admitSoon(outcome.id, priority);
    return outcome;
  }

  async agents(): Promise<AgentView[]> {
    return this.#guard(agentViews(this.#scripts, this.#queues));
  }

  pause(agentType: string, by: string): Promise<AgentView | undefined> {
    return this.#order("pause", agentType, by);
  }

  resume(agentType: string, by: string): Promise<AgentView | undefined> {
    return this.#order("resume", agentType, by);
  }

  async #order(word: "pause" | "resume", agentType: string, by: string): Promise<AgentView | undefined> {
    await this.#durably("pause", fleetTag, [agentType, word, by]);
    return (await this.agents()).find(({ type }) => type === agentType);
  }

  async ping(): Promise<void> {
    await this.#guard(this.#connection.ping());
  }

  async #state(tenant: string, id: string): Promise<WorkflowState | undefined> {
    return (await this.#read(tenant, id))?.state;
  }

  async #read(tenant: string, id: string): Promise<{ state: WorkflowState; spend: Spend } | undefined> {
    const cached = this.#cache.get(id);
    const page = await this.#page(tenant, id, cached?.last.seq ?? 1, everyLine);
    if (!page) return undefined;
    const folded =
      advance(id, cached, page.lines) ??
      advance(id, undefined, (await this.#page(tenant, id, 1, everyLine))?.lines ?? []);
    if (!folded) return undefined;
    this.#cache.set(id, folded);
    return { state: folded.state, spend: page.spend };
  }

  async #page(tenant: string, id: string, from: number, limit: number): Promise<LogPage | undefined> {
    const reply = await this.#guard(this.#scripts.item("load", tagOf(id), [id, from, limit]));
    if (reply === null) return this.#pastPage(tenant, id, from, limit);
    // See the header of lua/load.lua for the shape.
    const [owner, status, ended, , tip, lines, microUsd, input, output] = reply as LoadReply;
    if (owner !== tenant) return undefined;
    const spend = { microUsd, input, output };
    return { status: WorkflowStatus.parse(status), hasEnded: ended === 1, tip, lines: parseLines(lines), spend };
  }

  async #pastPage(tenant: string, id: string, from: number, limit: number): Promise<LogPage | undefined> {
    const history = await this.#readPast(tenant, id);
    if (!history) return undefined;
    const { lines, fields } = history;
    const status = WorkflowStatus.parse(fields["status"]);
    const [microUsd = 0, input = 0, output = 0] = ["microUsd", "inputTokens", "outputTokens"].map((name) =>
      Number(fields[name] ?? 0),
    );
    const spend = { microUsd, input, output };
    return { status, hasEnded: true, tip: lines.length, lines: lines.slice(from - 1, from - 1 + limit), spend };
  }

  async #readPast(tenant: string, id: string): Promise<History | undefined> {
    return this.#past && this.#guard(this.#past.read(tenant, id));
  }

  /** What a script answers; where Redis does not know the workflow any more, and the archive does, it is put back first. */
  async #reviving(tenant: string, id: string, write: () => Promise<Reply>): Promise<Reply> {
    const answer = await write();
    const past = this.#past;
    if (answer !== null || !past) return answer;
    const isBack = await this.#guard(past.revive(this.#scripts, tenant, id, revivedMs));
    return isBack ? write() : null;
  }

  async #outputs(tenant: string, id: string, taskIds: readonly string[]): Promise<Map<string, Json>> {
    const known = await this.#guard(
      Promise.all(taskIds.map((taskId) => this.#scripts.item("outputs", tagOf(id), [id, taskId]))),
    );
    const past = known.includes(null) ? await this.#readPast(tenant, id) : undefined;
    const kept = known.map((place, index) => place ?? past?.outputs[taskIds[index] ?? ""]);
    const values = await Promise.all(
      taskIds.map(async (taskId, index): Promise<[string, Json][]> => {
        const place = kept[index];
        return typeof place === "string" ? [[taskId, await readOutput(this.#options.blobs, place)]] : [];
      }),
    );
    return new Map(values.flat());
  }

  /** For the first line of a log: from where everything that is done for the workflow goes on. */
  #trace(): { traceparent?: string } {
    const traceparent = (this.#options.tracer ?? noTracer).active();
    return traceparent === undefined ? {} : { traceparent };
  }

  /** The admission jobs of one turn go together; one that is lost is added by the first look. */
  #admitSoon(id: string, priority: Priority): void {
    this.#admissions.push({ id, priority, ...this.#trace() });
    if (this.#admissions.length > 1) return;
    setImmediate(() => {
      const workflows = this.#admissions;
      this.#admissions = [];
      this.#queues
        .admit(workflows)
        .catch((error: unknown) => this.#options.logger.warn({ err: error }, "admission left to the supervisor"));
    });
  }

  #nextTick: Promise<void> | undefined;

  /** Ends at the same moment for all who wait, so that what they ask next is one call a shard. */
  async #tick(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#nextTick ??= delay(followEveryMs).then(() => {
      this.#nextTick = undefined;
    });
    await this.#nextTick;
    signal.throwIfAborted();
  }

  /** At the level `archive`: resolves when the archive has the workflow as it is. */
  async #archive(id: string): Promise<void> {
    try {
      await this.#shipper?.ship(id);
    } catch (error) {
      throw new UnknownOutcomeError({ cause: error });
    }
  }

  /** One item of a script about a workflow whose answer somebody will rely on. */
  #write(script: string, id: string, item: (string | number)[]): Promise<Reply> {
    return this.#durably(script, tagOf(id), item);
  }

  async #durably(script: string, tag: string, item: (string | number)[]): Promise<Reply> {
    try {
      return await this.#scripts.durably(script, tag, item);
    } catch (error) {
      throw failedWrite(error);
    }
  }

  async #guard<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw new StoreUnavailableError({ cause: error });
    }
  }
}

type LoadReply = [string, string, number, number, number, Reply, number, number, number];

/** What lua/submit.lua and lua/fork.lua answer. */
function outcomeOf(reply: Reply): SubmitOutcome {
  const [kind, id, status] = reply as [SubmitOutcome["kind"], string, WorkflowStatus];
  return kind === "conflict" ? { kind, id } : { kind, id, status };
}
