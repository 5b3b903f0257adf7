import {
  decisionsOf,
  type Inbox,
  type Issue,
  itemIdOf,
  type ItemKind,
  type ItemQuery,
  type ItemView,
  type SettleOutcome,
  type Verdict,
} from "@flotilla/workflow";
import type { MemoryStore } from "./memory-store.ts";

interface Kept {
  tenant: string;
  item: ItemView;
  verdict?: Verdict & { by: string };
}

/** An `Inbox` in memory for the tests of the HTTP layer. */
export class MemoryInbox implements Inbox {
  readonly kept: Kept[] = [];
  /** What is wrong with every edit. */
  issues: readonly Issue[] = [];
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  /** Opens an item, and gives its id. */
  open(tenant: string, workflowId: string, kind: ItemKind = "outcome-unknown"): string {
    const id = itemIdOf(workflowId, this.kept.length + 1);
    const detail = { deaths: 3, reason: "SIGKILL", attempt: 1 };
    const openedAt = new Date(Date.UTC(2026, 0, 1) + this.kept.length).toISOString();
    const decisions = [...decisionsOf(kind)];
    this.kept.push({
      tenant,
      item: { id, kind, workflowId, taskId: "a", summary: "odd", detail, decisions, openedAt },
    });
    return id;
  }

  async list({ tenant, kind, workflowId, limit, cursor }: ItemQuery) {
    await this.#store.ping();
    if (cursor !== undefined && !/^p\d+$/.test(cursor)) return undefined;
    const start = Number(cursor?.slice(1) ?? 0);
    const open = this.kept
      .filter((one) => one.tenant === tenant && !one.verdict)
      .map(({ item }) => item)
      .filter((item) => kind === undefined || item.kind === kind)
      .filter((item) => workflowId === undefined || item.workflowId === workflowId)
      .toReversed();
    const items = open.slice(start, start + limit);
    return start + limit < open.length ? { items, cursor: `p${start + limit}` } : { items };
  }

  async settle(tenant: string, id: string, verdict: Verdict, by: string): Promise<SettleOutcome> {
    await this.#store.ping();
    const one = this.kept.find(({ item, tenant: owner }) => item.id === id && owner === tenant);
    if (!one) return { kind: "unknown" };
    const { kind, workflowId, decisions } = one.item;
    if (!decisions.includes(verdict.decision)) return { kind: "refused", decisions };
    if (verdict.edit !== undefined && this.issues.length > 0) return { kind: "invalid", issues: this.issues };
    if (one.verdict) return { kind: "already-settled" };
    one.verdict = { ...verdict, by };
    const settledAt = "2026-01-01T00:00:00.000Z";
    return {
      kind: "settled",
      item: { id, kind, workflowId, taskId: "a", decision: verdict.decision, settledAt },
    };
  }
}
