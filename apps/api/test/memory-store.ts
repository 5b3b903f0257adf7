import { setTimeout as sleep } from "node:timers/promises";
import {
  type AgentView,
  type Json,
  type SignalOutcome,
  type ArtifactView,
  canonicalJson,
  type EventBody,
  FailedStatus,
  type FailureQuery,
  type FailureView,
  forkLog,
  type ForkOutcome,
  type ListQuery,
  type RetryOutcome,
  StoreUnavailableError,
  UnknownOutcomeError,
  type SubmitOutcome,
  type TaskView,
  type WorkflowEvent,
  type WorkflowRequest,
  type WorkflowStatus,
  type WorkflowStore,
  type WorkflowView,
} from "@flotilla/workflow";

interface Kept {
  tenant: string;
  view: WorkflowView;
  log: WorkflowEvent[];
  ended: boolean;
  tasks: Map<string, { task: TaskView; settled: boolean }>;
  artifacts: ArtifactView[];
}

/** A `WorkflowStore` in memory for the tests of the HTTP layer: it keeps what it is told and runs nothing. */
export class MemoryStore implements WorkflowStore {
  /** Calls fail, as with Redis away. */
  isAway = false;
  /** Writes are stored, and nobody hears of it. */
  losesAnswers = false;
  /** Calls of `follow` that have not ended. */
  following = 0;
  readonly submitted: { tenant: string; request: WorkflowRequest }[] = [];
  readonly failed = new Map<string, FailureView>();
  readonly registered: AgentView[] = [agent("probe"), agent("research")];
  readonly #workflows = new Map<string, Kept>();
  readonly #retries = new Set<string>();
  readonly #keys = new Map<string, { id: string; bodyHash: string }>();
  #wake = Promise.withResolvers<void>();

  async submit(
    tenant: string,
    request: WorkflowRequest,
    idempotency?: { key: string; bodyHash: string },
  ): Promise<SubmitOutcome> {
    this.#reach();
    const name = canonicalJson([tenant, idempotency?.key]);
    const earlier = idempotency && this.#keys.get(name);
    if (earlier) {
      const { id, bodyHash } = earlier;
      return bodyHash === idempotency.bodyHash ? { kind: "repeated", id, status: "queued" } : { kind: "conflict", id };
    }
    const id = `wf_0a_${String(this.#workflows.size).padStart(26, "0")}`;
    if (idempotency) this.#keys.set(name, { id, bodyHash: idempotency.bodyHash });
    this.submitted.push({ tenant, request });
    this.#workflows.set(id, {
      tenant,
      view: view(id, request),
      log: [],
      ended: false,
      tasks: new Map(),
      artifacts: [],
    });
    this.append(id, { type: "workflow.submitted", data: { tenant, request } });
    if (this.losesAnswers) throw new UnknownOutcomeError({ cause: new Error("0 of 1 replicas of {s0a}:wf:secret") });
    return { kind: "stored", id, status: "queued" };
  }

  async get(tenant: string, id: string): Promise<WorkflowView | undefined> {
    return this.#find(tenant, id)?.view;
  }

  async list({ tenant, status, tag, limit, cursor }: ListQuery) {
    this.#reach();
    const start = cursor === undefined ? 0 : Number(/^p(\d+)$/.exec(cursor)?.[1] ?? Number.NaN);
    if (Number.isNaN(start)) return undefined;
    const matching = [...this.#workflows.values()]
      .filter((kept) => kept.tenant === tenant)
      .map((kept) => kept.view)
      .filter((found) => status === undefined || [status].flat().includes(found.status))
      .filter((found) => tag === undefined || found.tags[tag.key] === tag.value)
      .toReversed();
    const workflows = matching
      .slice(start, start + limit)
      .map(({ id, status, priority, tags, createdAt, updatedAt }) => {
        return { id, status, priority, tags, createdAt, updatedAt };
      });
    return start + limit < matching.length ? { workflows, cursor: `p${start + limit}` } : { workflows };
  }

  async failures({ status, ...query }: FailureQuery) {
    const page = await this.list({ ...query, status: status ?? FailedStatus.options });
    if (!page) return undefined;
    const failures = page.workflows.flatMap(({ id }) => this.failed.get(id) ?? []);
    return { failures, ...(page.cursor !== undefined && { cursor: page.cursor }) };
  }

  async task(tenant: string, id: string, taskId: string) {
    return this.#find(tenant, id)?.tasks.get(taskId);
  }

  async artifacts(tenant: string, id: string): Promise<ArtifactView[] | undefined> {
    return this.#find(tenant, id)?.artifacts;
  }

  async events(tenant: string, id: string, after: number, limit: number) {
    const kept = this.#find(tenant, id);
    if (!kept) return undefined;
    const events = kept.log.slice(after, after + limit);
    return { events, ended: kept.ended && after + events.length >= kept.log.length };
  }

  async follow(tenant: string, id: string, after: number, signal: AbortSignal) {
    const kept = this.#find(tenant, id);
    return kept && this.#follow(kept, after, signal);
  }

  async *#follow(kept: Kept, after: number, signal: AbortSignal): AsyncGenerator<WorkflowEvent[]> {
    this.following++;
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    try {
      for (let seen = after; !signal.aborted;) {
        this.#reach();
        const batch = kept.log.slice(seen);
        seen = Math.max(seen, kept.log.length);
        if (batch.length > 0) yield batch;
        else if (kept.ended) return;
        else await Promise.race([this.#wake.promise, aborted]);
      }
    } finally {
      this.following--;
    }
  }

  async cancel(tenant: string, id: string): Promise<WorkflowStatus | undefined> {
    if (this.losesAnswers) throw new UnknownOutcomeError();
    return this.#find(tenant, id)?.view.status;
  }

  /** What workflows were told. */
  readonly signals: { id: string; name: string; data?: Json; by: string }[] = [];
  readonly #signalKeys = new Map<string, string>();

  async signal(
    tenant: string,
    id: string,
    signal: { name: string; data?: Json; by: string },
    idempotency?: { key: string; bodyHash: string },
  ): Promise<SignalOutcome | undefined> {
    await this.ping();
    const status = this.#find(tenant, id)?.view.status;
    if (status === undefined) return undefined;
    const name = `${id} ${idempotency?.key}`;
    const earlier = this.#signalKeys.get(name);
    if (idempotency && earlier !== undefined)
      return earlier === idempotency.bodyHash ? { kind: "repeated", status } : { kind: "conflict" };
    if (status !== "queued" && status !== "running") return { kind: "ended", status };
    if (idempotency) this.#signalKeys.set(name, idempotency.bodyHash);
    this.signals.push({ id, ...signal });
    return { kind: "sent", status };
  }

  async retry(tenant: string, id: string, idempotencyKey?: string): Promise<RetryOutcome | undefined> {
    const kept = this.#find(tenant, id);
    if (!kept) return undefined;
    const { status } = kept.view;
    const name = `${id} ${idempotencyKey}`;
    if (idempotencyKey !== undefined && this.#retries.has(name)) return { kind: "repeated", status };
    if (status !== "failed" && status !== "aborted") return { kind: "refused", status };
    this.#retries.add(name);
    kept.view.status = "running";
    return { kind: "retried", status: "running" };
  }

  async fork(
    tenant: string,
    source: string,
    wanted: { fromSeq: number; input?: WorkflowRequest["input"] },
    idempotency?: { key: string; bodyHash: string },
  ): Promise<ForkOutcome | undefined> {
    const kept = this.#find(tenant, source);
    if (!kept) return undefined;
    const { log } = kept;
    const fork = forkLog("fork", source, log, wanted);
    return fork.kind === "unforkable" ? fork : this.submit(tenant, fork.submitted.data.request, idempotency);
  }

  async agents(): Promise<AgentView[]> {
    this.#reach();
    return this.registered;
  }

  /** What operators have said. */
  readonly orders: { word: "pause" | "resume"; agentType: string; by: string }[] = [];

  async pause(agentType: string, by: string): Promise<AgentView | undefined> {
    return this.#order("pause", agentType, by);
  }

  async resume(agentType: string, by: string): Promise<AgentView | undefined> {
    return this.#order("resume", agentType, by);
  }

  #order(word: "pause" | "resume", agentType: string, by: string): AgentView | undefined {
    this.#reach();
    const found = this.registered.find(({ type }) => type === agentType);
    if (!found) return undefined;
    this.orders.push({ word, agentType, by });
    return Object.assign(found, { paused: word === "pause" });
  }

  async ping(): Promise<void> {
    this.#reach();
  }

  /** Adds an event to the log and wakes who follows. */
  append(id: string, body: EventBody): void {
    const { log } = this.#kept(id);
    log.push({ ...body, seq: log.length + 1, at: Date.UTC(2026, 0, 1) + log.length });
    this.#notify();
  }

  /** Adds the last event. */
  end(id: string): void {
    this.#kept(id).ended = true;
    this.append(id, { type: "workflow.completed", data: {} });
  }

  /** Ends it with that status, without a word in its log. */
  setStatus(id: string, status: WorkflowStatus): void {
    this.#kept(id).view.status = status;
  }

  addTask(id: string, task: TaskView, settled: boolean): void {
    this.#kept(id).tasks.set(task.id, { task, settled });
  }

  addArtifact(id: string, artifact: ArtifactView): void {
    this.#kept(id).artifacts.push(artifact);
  }

  /** Makes the store unreachable, for those who follow too. */
  goAway(): void {
    this.isAway = true;
    this.#notify();
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  #find(tenant: string, id: string): Kept | undefined {
    this.#reach();
    const kept = this.#workflows.get(id);
    return kept?.tenant === tenant ? kept : undefined;
  }

  #kept(id: string): Kept {
    const kept = this.#workflows.get(id);
    if (!kept) throw new Error(`no workflow ${id}`);
    return kept;
  }

  #reach(): void {
    if (this.isAway) throw new StoreUnavailableError({ cause: new Error("connect ECONNREFUSED {s0a}:wf:secret") });
  }
}

/** Resolves once `condition` holds; the test's own time limit ends the wait. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

function agent(type: string): AgentView {
  return {
    type,
    description: `does ${type}`,
    input: {},
    output: {},
    tools: [],
    permissions: { tools: [], mayPlan: false },
    workers: 1,
    knownWorkers: 1,
    backlog: 0,
    paused: false,
  };
}

function view(id: string, request: WorkflowRequest): WorkflowView {
  const time = "2026-01-01T00:00:00.000Z";
  return {
    id,
    status: "queued",
    input: request.input,
    plan: null,
    phase: null,
    tasks: [],
    handoffs: [],
    compensation: "none",
    cost: { usd: 0, tokens: { input: 0, output: 0 } },
    priority: request.priority ?? "normal",
    tags: request.tags ?? {},
    createdAt: time,
    updatedAt: time,
  };
}
