import {
  AgentView,
  ArtifactView,
  DeadLetter,
  EventView,
  type FailedStatus,
  FailureView,
  type ItemKind,
  ItemView,
  type Json,
  type ScheduleRequest,
  ScheduleSummary,
  ScheduleView,
  SettledItem,
  SubmitView,
  TaskView,
  type Verdict,
  WorkflowStatus,
  WorkflowSummary,
  WorkflowView,
  type WorkflowRequest,
} from "@flotilla/workflow";
import { z } from "zod";
import { unexpectedAnswer } from "./errors.ts";
import { follow } from "./follow.ts";
import { type Fetch, pause, type Reply, send, type Transport } from "./transport.ts";

/** Where the fleet is, and how patient to be with it. */
export interface ClientOptions {
  /** Of the API, such as `http://127.0.0.1:8080`. */
  url: string;
  apiKey?: string;
  /** Replaces the global `fetch`; on Node, `httpFetch` of `@flotilla/client/node` is the cheaper one. */
  fetch?: Fetch;
  /** How long a call is repeated while the service is away, in ms; 5,000 by default, 0 for never. */
  retryMs?: number;
  /** How long a followed stream that broke off is opened again while the service is away, in ms; 60,000 by default. */
  reconnectMs?: number;
  /** How long one try waits for its answer, in ms; 30,000 by default. */
  timeoutMs?: number;
}

/** What `list` selects; newest first. */
export interface ListOptions {
  status?: WorkflowStatus;
  tag?: { key: string; value: string };
  /** 50 by default, at most 200. */
  limit?: number;
  /** What an earlier page answered. */
  cursor?: string;
}

/** What `failures` selects; newest first. */
export interface FailureOptions {
  /** Both unless given. */
  status?: FailedStatus;
  tag?: { key: string; value: string };
  /** 20 by default, at most 50. */
  limit?: number;
  /** What an earlier page answered. */
  cursor?: string;
}

/** What `inbox` selects; newest first. */
export interface InboxOptions {
  kind?: ItemKind;
  workflowId?: string;
  /** 50 by default, at most 200. */
  limit?: number;
  /** What an earlier page answered. */
  cursor?: string;
}

/** What `events` yields. */
export interface EventsOptions {
  /** The last event that the caller has; 0, which is none, by default. */
  after?: number;
  /** Stay until the workflow's last event, instead of ending after what there is now. */
  follow?: boolean;
  signal?: AbortSignal;
}

/** From where a workflow is forked. */
export interface ForkOptions {
  /** The last event that the fork shares. */
  fromSeq: number;
  /** In place of that of the source. */
  input?: WorkflowRequest["input"];
}

/** What a workflow is told. */
export interface SignalInput {
  name: string;
  /** For the tasks that wait for it; null unless given. */
  data?: Json;
}

/** Calls that may end early. */
export interface CallOptions {
  signal?: AbortSignal;
}

/**
 * The HTTP API as functions. Every call is repeated for `retryMs` while the service is away, which is safe for all
 * of them. A refusal is a `ProblemError`, no answer an `UnreachableError`, an abort the reason of its signal.
 */
export interface Client {
  /** Stored durably when it resolves. Without `idempotencyKey` each call gets one of its own, so that retries are safe. */
  submit(request: WorkflowRequestInput, options?: CallOptions & { idempotencyKey?: string }): Promise<SubmitView>;
  get(id: string, options?: CallOptions): Promise<WorkflowView>;
  list(options?: ListOptions & CallOptions): Promise<WorkflowPage>;
  /** What failed or was aborted, newest first, with the task and its last events. */
  failures(options?: FailureOptions & CallOptions): Promise<FailurePage>;
  /** A finished task with its whole output; `ProblemError` code `not-finished` before. */
  task(id: string, taskId: string, options?: CallOptions): Promise<TaskView>;
  /** In order, without gap or double, across dropped connections. */
  events(id: string, options?: EventsOptions): AsyncGenerator<EventView>;
  /** The workflow once it has ended. Follows its stream, or asks every `pollMs` where that is given. */
  wait(id: string, options?: CallOptions & { pollMs?: number }): Promise<WorkflowView>;
  /** Idempotent; the status right after. */
  cancel(id: string, options?: CallOptions & { reason?: string; compensate?: boolean }): Promise<WorkflowStatus>;
  /**
   * Lets a workflow go on that failed or was aborted; any other is a `ProblemError` code `not-retryable`. Without
   * `idempotencyKey` each call gets one of its own, so that a repetition after a lost answer is no second retry.
   */
  retry(id: string, options?: CallOptions & { idempotencyKey?: string }): Promise<SubmitView>;
  /**
   * Tells a workflow something; `ProblemError` code `already-settled` after its end. Without `idempotencyKey` each call
   * gets one of its own, so that a repetition after a lost answer is no second signal.
   */
  signal(id: string, signal: SignalInput, options?: CallOptions & { idempotencyKey?: string }): Promise<SubmitView>;
  /** A new workflow that shares the events up to `fromSeq`, with another input if one is given. Keys as for `submit`. */
  fork(id: string, fork: ForkOptions, options?: CallOptions & { idempotencyKey?: string }): Promise<SubmitView>;
  artifacts(id: string, options?: CallOptions): Promise<ArtifactView[]>;
  /** The bytes of a file that an agent made. */
  artifact(id: string, name: string, options?: CallOptions): Promise<Uint8Array>;
  /** What waits for a person, newest first. */
  inbox(options?: InboxOptions & CallOptions): Promise<ItemPage>;
  /**
   * Settles an item. `ProblemError` code `already-settled` when somebody was first; the event `item.settled` says who it
   * was. A call that is repeated because its answer was lost gets that answer.
   */
  settle(item: string, verdict: Verdict, options?: CallOptions): Promise<SettledItem>;
  /** By which callbacks of this tenant are signed; `ProblemError` code `not-supported` on a fleet that sends none. */
  callbackSecrets(options?: CallOptions): Promise<string[]>;
  /** Starts a workflow at every slot of a cron expression. Keys as for `submit`. */
  schedule(schedule: ScheduleInput, options?: CallOptions & { idempotencyKey?: string }): Promise<ScheduleView>;
  /** Oldest first. */
  schedules(options?: CallOptions): Promise<ScheduleSummary[]>;
  /** Starts nothing more; `ProblemError` code `not-found` where there is no such schedule. */
  unschedule(id: string, options?: CallOptions): Promise<void>;
  agents(options?: CallOptions): Promise<AgentView[]>;
  /** Messages of intake streams that were refused, the newest first; for operators. */
  deadLetters(options?: CallOptions & { limit?: number }): Promise<DeadLetter[]>;
  /** Tasks of that agent type wait in their queue until it is resumed; what runs goes on. Needs an operator's key. */
  pause(agentType: string, options?: CallOptions): Promise<AgentView>;
  /** Workers take tasks of that agent type again. Needs an operator's key. */
  resume(agentType: string, options?: CallOptions): Promise<AgentView>;
  /** Rejects unless the API answers right now; never repeated. */
  health(options?: CallOptions): Promise<void>;
}

/** A schedule before defaults are filled in. */
export type ScheduleInput = z.input<typeof ScheduleRequest>;

/** A workflow request before defaults are filled in. */
export type WorkflowRequestInput = z.input<typeof WorkflowRequest>;

const WorkflowPage = z.object({ workflows: z.array(WorkflowSummary), cursor: z.string().exactOptional() });
/** One page of a list; without `cursor` it is the last. */
export type WorkflowPage = z.infer<typeof WorkflowPage>;

const FailurePage = z.object({ failures: z.array(FailureView), cursor: z.string().exactOptional() });
/** One page of what failed; without `cursor` it is the last. */
export type FailurePage = z.infer<typeof FailurePage>;

const ItemPage = z.object({ items: z.array(ItemView), cursor: z.string().exactOptional() });
/** One page of the inbox; without `cursor` it is the last. */
export type ItemPage = z.infer<typeof ItemPage>;

const EventPage = z.object({ events: z.array(EventView), next: z.unknown().optional() });
const CancelView = z.object({ status: WorkflowStatus });
const ArtifactList = z.object({ artifacts: z.array(ArtifactView) });
const ScheduleList = z.object({ schedules: z.array(ScheduleSummary) });
const SecretList = z.object({ secrets: z.array(z.string()) });
const DeadLetterList = z.object({ deadLetters: z.array(DeadLetter) });
const AgentList = z.object({ agents: z.array(AgentView) });

const endStatuses: ReadonlySet<WorkflowStatus> = new Set(["completed", "failed", "aborted", "cancelled"]);

/** Whether a workflow of this status changes no more, short of a retry. */
export function hasEnded(status: WorkflowStatus): boolean {
  return endStatuses.has(status);
}

/** A client of the fleet at `url`. It holds nothing that must be closed. */
export function createClient(options: ClientOptions): Client {
  const transport: Transport = {
    url: options.url.replace(/\/+$/, ""),
    ...(options.apiKey !== undefined && { apiKey: options.apiKey }),
    fetch: options.fetch ?? globalThis.fetch,
    retryMs: options.retryMs ?? 5000,
    timeoutMs: options.timeoutMs ?? 30_000,
  };
  const reconnectMs = options.reconnectMs ?? 60_000;
  const client: Client = {
    submit: (request, { idempotencyKey = crypto.randomUUID(), signal } = {}) =>
      send(transport, {
        method: "POST",
        path: "/v1/workflows",
        headers: { "idempotency-key": idempotencyKey },
        body: request,
        signal,
        read: as(SubmitView),
      }),
    get: (id, { signal } = {}) => send(transport, { path: workflowPath(id), signal, read: as(WorkflowView) }),
    list: ({ signal, ...query } = {}) =>
      send(transport, { path: `/v1/workflows${queryString(query)}`, signal, read: as(WorkflowPage) }),
    failures: ({ signal, ...query } = {}) =>
      send(transport, { path: `/v1/failures${queryString(query)}`, signal, read: as(FailurePage) }),
    task: (id, taskId, { signal } = {}) =>
      send(transport, { path: `${workflowPath(id)}/tasks/${encodeURIComponent(taskId)}`, signal, read: as(TaskView) }),
    events: (id, { after = 0, follow: stay = false, signal } = {}) =>
      stay
        ? follow(transport, { path: `${workflowPath(id)}/events`, after, reconnectMs, signal })
        : pages(transport, `${workflowPath(id)}/events`, after, signal),
    wait: (id, wanted = {}) => waitFor(client, id, wanted),
    cancel: async (id, { reason, compensate, signal } = {}) => {
      const body = {
        ...(reason === undefined ? {} : { reason }),
        ...(compensate === undefined ? {} : { compensate }),
      };
      const path = `${workflowPath(id)}/cancel`;
      const { status } = await send(transport, { method: "POST", path, body, signal, read: as(CancelView) });
      return status;
    },
    retry: (id, { idempotencyKey = crypto.randomUUID(), signal } = {}) =>
      send(transport, {
        method: "POST",
        path: `${workflowPath(id)}/retry`,
        headers: { "idempotency-key": idempotencyKey },
        body: {},
        signal,
        read: as(SubmitView),
      }),
    signal: (id, signal, { idempotencyKey = crypto.randomUUID(), signal: abort } = {}) =>
      send(transport, {
        method: "POST",
        path: `${workflowPath(id)}/signals`,
        headers: { "idempotency-key": idempotencyKey },
        body: signal,
        signal: abort,
        read: as(SubmitView),
      }),
    fork: (id, fork, { idempotencyKey = crypto.randomUUID(), signal } = {}) =>
      send(transport, {
        method: "POST",
        path: `${workflowPath(id)}/fork`,
        headers: { "idempotency-key": idempotencyKey },
        body: fork,
        signal,
        read: as(SubmitView),
      }),
    artifacts: async (id, { signal } = {}) => {
      const path = `${workflowPath(id)}/artifacts`;
      return (await send(transport, { path, signal, read: as(ArtifactList) })).artifacts;
    },
    artifact: (id, name, { signal } = {}) =>
      send(transport, {
        path: `${workflowPath(id)}/artifacts/${encodeURIComponent(name)}`,
        headers: { accept: "*/*" },
        signal,
        read: (response) => response.bytes(),
      }),
    inbox: ({ signal, ...query } = {}) =>
      send(transport, { path: `/v1/inbox${queryString(query)}`, signal, read: as(ItemPage) }),
    settle: (item, verdict, { signal } = {}) => {
      const path = `/v1/inbox/${encodeURIComponent(item)}`;
      return send(transport, { method: "POST", path, body: verdict, signal, read: as(SettledItem) });
    },
    callbackSecrets: async ({ signal } = {}) =>
      (await send(transport, { path: "/v1/callback-secrets", signal, read: as(SecretList) })).secrets,
    schedule: (schedule, { idempotencyKey = crypto.randomUUID(), signal } = {}) =>
      send(transport, {
        method: "POST",
        path: "/v1/schedules",
        headers: { "idempotency-key": idempotencyKey },
        body: schedule,
        signal,
        read: as(ScheduleView),
      }),
    schedules: async ({ signal } = {}) =>
      (await send(transport, { path: "/v1/schedules", signal, read: as(ScheduleList) })).schedules,
    unschedule: (id, { signal } = {}) =>
      send(transport, {
        method: "DELETE",
        path: `/v1/schedules/${encodeURIComponent(id)}`,
        signal,
        read: async (response) => void (await response.text()),
      }),
    agents: async ({ signal } = {}) =>
      (await send(transport, { path: "/v1/agents", signal, read: as(AgentList) })).agents,
    deadLetters: async ({ signal, ...query } = {}) => {
      const path = `/v1/intake/dead-letters${queryString(query)}`;
      return (await send(transport, { path, signal, read: as(DeadLetterList) })).deadLetters;
    },
    pause: (agentType, { signal } = {}) => order(transport, agentType, "pause", signal),
    resume: (agentType, { signal } = {}) => order(transport, agentType, "resume", signal),
    health: ({ signal } = {}) =>
      send(
        { ...transport, retryMs: 0 },
        { path: "/health", signal, read: async (response) => void (await response.text()) },
      ),
  };
  return client;
}

function order(
  transport: Transport,
  agentType: string,
  word: "pause" | "resume",
  signal: AbortSignal | undefined,
): Promise<AgentView> {
  const path = `/v1/agents/${encodeURIComponent(agentType)}/${word}`;
  return send(transport, { method: "POST", path, body: {}, signal, read: as(AgentView) });
}

async function waitFor(client: Client, id: string, options: CallOptions & { pollMs?: number }): Promise<WorkflowView> {
  const { pollMs, ...call } = options;
  let after = 0;
  for (;;) {
    if (pollMs === undefined) {
      for await (const { seq } of client.events(id, { ...call, after, follow: true })) after = seq;
    }
    const view = await client.get(id, call);
    // A retry may have come between the end of the stream and this answer.
    if (hasEnded(view.status)) return view;
    if (pollMs !== undefined) await pause(pollMs, call.signal);
  }
}

async function* pages(
  transport: Transport,
  path: string,
  after: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<EventView> {
  let seen = after;
  for (;;) {
    const page = await send(transport, { path: `${path}?after=${seen}`, signal, read: as(EventPage) });
    yield* page.events;
    const last = page.events.at(-1);
    if (page.next === undefined || last === undefined) return;
    seen = last.seq;
  }
}

/** Reads a response as JSON of that shape; another shape means that somebody else answers at this URL. */
function as<T>(schema: z.ZodType<T>): (response: Reply) => Promise<T> {
  return async (response) => {
    const text = await response.text();
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw unexpectedAnswer(response.status, cause);
    }
  };
}

function workflowPath(id: string): string {
  return `/v1/workflows/${encodeURIComponent(id)}`;
}

function queryString({ tag, ...options }: ListOptions & InboxOptions): string {
  const query = new URLSearchParams();
  const { status, kind, workflowId, limit, cursor } = options;
  if (status !== undefined) query.set("status", status);
  if (kind !== undefined) query.set("kind", kind);
  if (workflowId !== undefined) query.set("workflowId", workflowId);
  if (tag !== undefined) query.set("tag", `${tag.key}:${tag.value}`);
  if (limit !== undefined) query.set("limit", String(limit));
  if (cursor !== undefined) query.set("cursor", cursor);
  return query.size === 0 ? "" : `?${query}`;
}
