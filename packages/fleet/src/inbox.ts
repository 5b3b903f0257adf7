import { createHash } from "node:crypto";
import {
  type Approval,
  type AttestedResult,
  canonicalJson,
  decisionsOf,
  type EventOf,
  type Grant,
  type Inbox,
  isDeeperThan,
  type Issue,
  itemIdPattern,
  type Json,
  planTaskOf,
  type ItemQuery,
  type ItemView,
  type SettleOutcome,
  type Verdict,
} from "@flotilla/workflow";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { shardTag, tagOf } from "./keys.ts";
import { eventOf, parseLines } from "./log.ts";
import type { Reply, Scripts } from "./scripts.ts";

type Opened = EventOf<"item.opened">;

export interface RedisInboxDeps {
  scripts: Scripts;
  shards(): readonly string[];
  /** Turns what a lost Redis throws into the error that callers know. */
  guard<T>(answer: Promise<T>): Promise<T>;
  /** One item of a script whose answer somebody will rely on. */
  write(script: string, id: string, item: (string | number)[]): Promise<Reply>;
  /** Everything that is wrong with what is to come in the place of a plan; see `planEditIssues` of the core. */
  planEditIssues(tenant: string, id: string, by: string | undefined, edit: Json): Promise<readonly Issue[]>;
}

/** A person's word stands in the journal itself, which holds no more than this of one step; that about a plan does not. */
const maxWordBytes = 32_768;
const maxWordDepth = 32;

/** What waits for a person, as the logs tell it; the sets in Redis only say which of it is open. */
export class RedisInbox implements Inbox {
  readonly #deps: RedisInboxDeps;

  constructor(deps: RedisInboxDeps) {
    this.#deps = deps;
  }

  async list({
    tenant,
    kind,
    workflowId,
    limit,
    cursor,
  }: ItemQuery): Promise<{ items: ItemView[]; cursor?: string } | undefined> {
    const { scripts, shards, guard } = this.#deps;
    const place = cursor === undefined ? undefined : decodeCursor(cursor);
    if (cursor !== undefined && !place) return undefined;
    const item = [tenant, kind ?? "", workflowId ?? "", limit + 1, place?.createdAt ?? "+inf", place?.id ?? ""];
    const tags = workflowId === undefined ? shards().map(shardTag) : [tagOf(workflowId)];
    const pages = await guard(Promise.all(tags.map((tag) => scripts.item("items", tag, item))));
    // See the header of lua/items.lua for the shape of an entry.
    const newest = (pages.flat() as [string, string, string][])
      .map(([id, openedAt, text]) => ({ id, createdAt: Number(openedAt), event: JSON.parse(text) as Opened }))
      .toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
    const page = newest.slice(0, limit);
    const last = page.at(-1);
    const items = page.map(({ id, createdAt, event }) => viewOf(id, createdAt, event));
    return newest.length > limit && last ? { items, cursor: encodeCursor(last) } : { items };
  }

  async settle(tenant: string, item: string, verdict: Verdict, by: string): Promise<SettleOutcome> {
    const [, id = "", seq = ""] = itemIdPattern.exec(item) ?? [];
    if (id === "") return { kind: "unknown" };
    const opened = await this.#opened(tenant, id, Number(seq));
    if (!opened) return { kind: "unknown" };
    const { kind } = opened.data;
    const decisions = decisionsOf(kind);
    if (!decisions.includes(verdict.decision)) return { kind: "refused", decisions };
    const issues = await this.#editIssues(tenant, id, opened, verdict.edit);
    if (issues.length > 0) return { kind: "invalid", issues };
    const at = await this.#write(tenant, { item, id, seq }, opened, verdict, by);
    if (at === null) return { kind: "unknown" };
    if (typeof at !== "number") return { kind: "already-settled" };
    const { taskId } = opened;
    const settledAt = new Date(at).toISOString();
    return {
      kind: "settled",
      item: { id: item, kind, workflowId: id, ...taskOf(taskId), decision: verdict.decision, settledAt },
    };
  }

  async #opened(tenant: string, id: string, seq: number): Promise<Opened | undefined> {
    const reply = await this.#deps.guard(this.#deps.scripts.item("load", tagOf(id), [id, seq, 1]));
    // See the header of lua/load.lua for the shape.
    const [owner, , , , , lines] = (reply ?? []) as [string?, string?, number?, number?, number?, Reply?];
    const [line] = owner === tenant ? parseLines(lines) : [];
    const event = line && eventOf(line);
    return event?.type === "item.opened" && event.seq === seq ? event : undefined;
  }

  async #editIssues(tenant: string, id: string, { data, taskId }: Opened, edit?: Json): Promise<readonly Issue[]> {
    if (edit === undefined) return [];
    if (data.kind === "plan") return this.#deps.planEditIssues(tenant, id, taskId, edit);
    const isFine = !isDeeperThan(edit, maxWordDepth) && Buffer.byteLength(JSON.stringify(edit)) <= maxWordBytes;
    const message = `must be at most ${maxWordBytes / 1024} KB of JSON, ${maxWordDepth} levels deep`;
    return isFine ? [] : [{ path: "/edit", code: "invalid", message }];
  }

  /** The one place where a person's word is written: the log, the journal and the inbox in one step. */
  #write(
    tenant: string,
    { item, id, seq }: { item: string; id: string; seq: string },
    { taskId, attempt, data }: Opened,
    verdict: Verdict,
    by: string,
  ): Promise<Reply> {
    const settled: EventOf<"item.settled"> = {
      type: "item.settled",
      ...(taskId !== undefined && { taskId }),
      ...(attempt !== undefined && { attempt }),
      data: { item, by, ...verdict },
    };
    const [step, entry] = journalChange(data, verdict);
    const word = createHash("sha256")
      .update(canonicalJson({ by, ...verdict }))
      .digest("hex");
    const args = [id, seq, tenant, JSON.stringify(settled), taskId ?? "", step, entry, word];
    return this.#deps.write("answer", id, args);
  }
}

/** The key in the journal that a verdict changes, and the entry that comes there; '' where the intent goes. */
function journalChange(opened: Opened["data"], verdict: Verdict): [step: string, entry: string] {
  if (opened.kind === "approval") return grantOf(opened.detail, verdict);
  const { decision, result = null } = verdict;
  if (opened.kind !== "outcome-unknown" || decision === "fail") return ["", ""];
  const { step, argumentsHash: inputHash } = opened.detail;
  const attested: AttestedResult = { attested: result };
  return [step, decision === "happened" ? JSON.stringify({ key: step, inputHash, result: attested }) : ""];
}

/** Bound to the arguments that were shown: a run that comes with others does not find it. */
function grantOf({ step, argumentsHash: inputHash }: Approval, { decision, edit }: Verdict): [string, string] {
  if (decision === "deny") return ["", ""];
  const value: Grant = decision === "edit" && edit !== undefined ? { edit } : {};
  return [step, JSON.stringify({ key: step, inputHash, result: { value } })];
}

/** The task that an item is about; a plan of the request is about none. */
function taskOf(taskId: string | undefined): { taskId?: string } {
  return taskId === undefined ? {} : { taskId: planTaskOf(taskId) };
}

/** An item is shown with the attempt that it is about, where it is about one. */
function detailOf({ attempt, data }: Opened): ItemView["detail"] {
  if (data.kind === "plan") return { ...data.detail, ...(attempt !== undefined && { attempt }) };
  return { ...data.detail, attempt: attempt ?? 1 };
}

function viewOf(id: string, openedAt: number, opened: Opened): ItemView {
  const { taskId, data } = opened;
  const { kind, summary } = data;
  return {
    id,
    kind,
    workflowId: id.slice(0, id.indexOf(".")),
    ...taskOf(taskId),
    summary,
    detail: detailOf(opened),
    decisions: [...decisionsOf(kind)],
    openedAt: new Date(openedAt).toISOString(),
    ...("expiresInMs" in data && { expiresAt: new Date(openedAt + data.expiresInMs).toISOString() }),
  };
}
