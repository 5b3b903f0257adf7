import type { WorkflowEvent } from "./event.ts";
import type { FailedStatus, FailureView } from "./failed-work.ts";
import type { Unforkable } from "./fork.ts";
import type { WorkflowRequest } from "./request.ts";
import type { Issue } from "./issue.ts";
import type { ItemDecision, ItemKind } from "./item.ts";
import type { Json } from "./json.ts";
import type {
  AgentView,
  ArtifactView,
  ItemView,
  SettledItem,
  TaskView,
  WorkflowStatus,
  WorkflowSummary,
  WorkflowView,
} from "./view.ts";

export type SubmitOutcome =
  | { kind: "stored"; id: string; status: WorkflowStatus }
  /** The same tenant, key and body came before: the same workflow. */
  | { kind: "repeated"; id: string; status: WorkflowStatus }
  /** The same tenant and key came before with another body. */
  | { kind: "conflict"; id: string };

/** As for a submit, the fork being what is stored; or why there is none from that place. */
export type ForkOutcome = SubmitOutcome | Unforkable;

export type RetryOutcome =
  | { kind: "retried"; status: WorkflowStatus }
  /** The same key retried this workflow before; nothing was done now. */
  | { kind: "repeated"; status: WorkflowStatus }
  /** Only a workflow that failed or was aborted can be retried. */
  | { kind: "refused"; status: WorkflowStatus };

export type SignalOutcome =
  | { kind: "sent"; status: WorkflowStatus }
  /** The same key sent it before; nothing was done now. */
  | { kind: "repeated"; status: WorkflowStatus }
  /** The same key came before with another body. */
  | { kind: "conflict" }
  /** It has ended, or is being cancelled. */
  | { kind: "ended"; status: WorkflowStatus };

export interface ListQuery {
  tenant: string;
  /** One, or any of several. */
  status?: WorkflowStatus | readonly WorkflowStatus[];
  tag?: { key: string; value: string };
  limit: number;
  /** What an earlier page answered. */
  cursor?: string;
}

export interface FailureQuery extends Omit<ListQuery, "status"> {
  /** Both unless given. */
  status?: FailedStatus;
}

/**
 * What the HTTP API needs of the fleet. Every call names the tenant, and the workflow of another tenant
 * is as one that does not exist (undefined). A call rejects with `StoreUnavailableError` within 1.2 s when
 * Redis is away; a submit or cancel that may have happened all the same with `UnknownOutcomeError`.
 */
export interface WorkflowStore {
  /** Stored as durably as the fleet is set to when it resolves. `bodyHash` tells bodies apart under one idempotency key. */
  submit(
    tenant: string,
    request: WorkflowRequest,
    idempotency?: { key: string; bodyHash: string },
  ): Promise<SubmitOutcome>;
  get(tenant: string, id: string): Promise<WorkflowView | undefined>;
  /** Newest first. Undefined when the cursor is not one of ours. */
  list(query: ListQuery): Promise<{ workflows: WorkflowSummary[]; cursor?: string } | undefined>;
  /** Those that failed or were aborted, as `list` gives them, with their context. */
  failures(query: FailureQuery): Promise<{ failures: FailureView[]; cursor?: string } | undefined>;
  /** The task with its whole output, whatever its size; `settled` is false while it is not finished. */
  task(tenant: string, id: string, taskId: string): Promise<{ task: TaskView; settled: boolean } | undefined>;
  artifacts(tenant: string, id: string): Promise<ArtifactView[] | undefined>;
  /** At most `limit` events after `after`; `ended` when nothing can follow them. */
  events(
    tenant: string,
    id: string,
    after: number,
    limit: number,
  ): Promise<{ events: WorkflowEvent[]; ended: boolean } | undefined>;
  /** Events after `after` as they happen, ending after the workflow's last. Undefined when there is no such workflow. */
  follow(
    tenant: string,
    id: string,
    after: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<WorkflowEvent[]> | undefined>;
  /** Idempotent; the status right after. What is being undone already goes on. */
  cancel(tenant: string, id: string, reason?: string, compensates?: "compensates"): Promise<WorkflowStatus | undefined>;
  /** Lets a workflow go on that failed or was aborted. The same idempotency key retries it once. */
  retry(tenant: string, id: string, idempotencyKey?: string): Promise<RetryOutcome | undefined>;
  /** Tells a workflow something, once for each idempotency key. Undefined when there is no such workflow. */
  signal(
    tenant: string,
    id: string,
    signal: { name: string; data?: Json; by: string },
    idempotency?: { key: string; bodyHash: string },
  ): Promise<SignalOutcome | undefined>;
  /** Stores a new workflow that shares the log up to `fromSeq`; see `forkLog`. Undefined when there is no source. */
  fork(
    tenant: string,
    source: string,
    fork: { fromSeq: number; input?: WorkflowRequest["input"] },
    idempotency?: { key: string; bodyHash: string },
  ): Promise<ForkOutcome | undefined>;
  /** The agent types that have registered, with their live workers and backlog. */
  agents(): Promise<AgentView[]>;
  /**
   * No worker takes a further task of that type until it is resumed; what runs goes on. The type as it is then, durably;
   * undefined where none ever registered it. `by` is the id of an API key. To say it again changes nothing.
   */
  pause(agentType: string, by: string): Promise<AgentView | undefined>;
  resume(agentType: string, by: string): Promise<AgentView | undefined>;
  /** Rejects unless Redis answers. */
  ping(): Promise<void>;
}

export interface ItemQuery {
  tenant: string;
  kind?: ItemKind;
  workflowId?: string;
  limit: number;
  /** What an earlier page answered. */
  cursor?: string;
}

/** What a person says about an item. */
export interface Verdict {
  decision: ItemDecision;
  reason?: string;
  /** Of an effect that happened; null unless given. */
  result?: Json;
  /** In place of the arguments, or the plan, that were to be approved. */
  edit?: Json;
}

export type SettleOutcome =
  | { kind: "settled"; item: SettledItem }
  /** Somebody was first, or its workflow has ended or is about to. */
  | { kind: "already-settled" }
  | { kind: "unknown" }
  /** Items of that kind are not settled so. */
  | { kind: "refused"; decisions: readonly ItemDecision[] }
  /** What is to come in the place of what was asked cannot, and the item stays open. */
  | { kind: "invalid"; issues: readonly Issue[] };

/** What waits for a person. As in `WorkflowStore`, another tenant's is as one that does not exist. */
export interface Inbox {
  /** Newest first. Undefined when the cursor is not one of ours. */
  list(query: ItemQuery): Promise<{ items: ItemView[]; cursor?: string } | undefined>;
  /**
   * Settled durably when it resolves so, by exactly one of however many ask; `by` is the id of an API key. Who says the
   * very same again, because the answer was lost, gets it again.
   */
  settle(tenant: string, item: string, verdict: Verdict, by: string): Promise<SettleOutcome>;
}

export type Role = "user" | "operator";

export interface KeyRecord {
  /** First 8 hex digits of the key's SHA-256: names the key without giving it away. */
  id: string;
  tenant: string;
  role: Role;
  createdAt: number;
}

/** API keys; only their SHA-256 is stored. */
export interface KeyStore {
  create(tenant: string, role: Role): Promise<{ record: KeyRecord; apiKey: string }>;
  /** The owner of a key, or undefined; a revoked key is refused within 5 s everywhere. */
  find(apiKey: string): Promise<KeyRecord | undefined>;
  list(): Promise<KeyRecord[]>;
  revoke(id: string): Promise<boolean>;
}

/** Redis did not answer in time, or refused to, or there is no room for a blob. It passes: the call may be repeated. */
export class StoreUnavailableError extends Error {
  constructor(options?: ErrorOptions) {
    super("the store is unavailable", options);
    this.name = "StoreUnavailableError";
  }
}

/**
 * A write was sent, and whether it stands is not known: no answer came, or too few replicas have confirmed it. To say
 * it again is safe, with the same idempotency key where it makes something new.
 */
export class UnknownOutcomeError extends StoreUnavailableError {
  constructor(options?: ErrorOptions) {
    super(options);
    this.message = "the outcome is unknown";
    this.name = "UnknownOutcomeError";
  }
}
