import type { Json } from "@flotilla/workflow";
import { Cluster } from "ioredis";
import type { Connection } from "../src/index.ts";
import { Scripts } from "../src/index.ts";
import { newWorkflowId, shardTag, wakeChannel } from "../src/keys.ts";
import { type Line, parseLines } from "../src/log.ts";
import type { Reply } from "../src/scripts.ts";

/** A workflow as `take` and `start` hand it to a look. */
export interface TakenEntry {
  id: string;
  revision: number;
  isRepeated: boolean;
  lines: Line[];
  expired: (string | number)[];
}

/** What `take` answers. */
export interface TakeAnswer {
  now: number;
  lateMs: number;
  next: number;
  entries: TakenEntry[];
}

/** Who writes: a claim as its worker knows it. */
export interface Writer {
  epoch: number;
  holder: string;
}

/** A claim change as `commit` takes it. */
export type Change = [kind: "revoke" | "reopen", task: string, epoch: number, attempt: number, dispatch: number];

/** A workflow with tasks that are dispatched, and no look under way. */
export interface Dispatched {
  id: string;
  revision: number;
  /** Place of the last line. */
  seen: number;
}

interface Commit {
  token?: string;
  revision: number;
  seen?: number;
  status?: string;
  ended?: boolean;
  /** How long it is kept after its end. */
  keptMs?: number;
  events?: object[];
  claims?: Change[];
  /** By task; see `specText`. */
  specs?: Record<string, string>;
  /** Of the workflow, as JSON. */
  input?: string;
  /** By place among the events, from 1. */
  items?: [place: number, kind: string][];
  /** Places of the lines that opened the items that expire. */
  expired?: number[];
  /** What goes into journals: task, key, entry. */
  gifts?: [task: string, key: string, entry: string][];
}

interface Settle {
  token?: string;
  nextLook?: number;
  seen?: number;
  isUnsure?: boolean;
  quiet?: number;
  /** As lua/prelude.lua explains them. */
  waves?: string[];
}

interface SpecOptions {
  timeoutMs?: number;
  wantsInput?: boolean;
  needs?: string[];
  spec?: object;
}

interface Submission {
  id?: string;
  owner?: string;
  priority?: string;
  tags?: Record<string, string>;
  callback?: string;
  key?: string;
  body?: string;
  lifetimeMs?: number;
  firstLookMs?: number;
}

interface ForkSubmission {
  last: number;
  owner?: string;
  status?: string;
  tags?: Record<string, string>;
  key?: string;
  body?: string;
  firstLookMs?: number;
  facts?: object[];
  fields?: [name: string, value: string][];
  outputs?: string[];
}

const tenant = "acme";
export const hourMs = 3_600_000;
let shardsMade = 0;

/** The spec of a task as `commit` stores it; see lua/claim.lua. */
export function specText({ timeoutMs = 0, wantsInput = false, needs = [], spec = {} }: SpecOptions = {}): string {
  return `${timeoutMs} ${wantsInput ? 1 : 0} ${needs.join(",")} ${JSON.stringify(spec)}`;
}

/** A shard of its own, spoken to through the scripts and looked at directly. Every default is the simplest one. */
export class Shard {
  readonly name: string;
  readonly tag: string;
  readonly connection: Connection;
  readonly #scripts: Scripts;
  #words = 0;

  constructor(connection: Connection) {
    this.name = (shardsMade++).toString(36).padStart(2, "0");
    this.tag = shardTag(this.name);
    this.connection = connection;
    this.#scripts = new Scripts(connection);
  }

  newId(): string {
    return newWorkflowId([this.name]);
  }

  /** Several items of one script in one call, as what comes in one turn goes together. */
  item(script: string, args: readonly (string | number)[], head: readonly (string | number)[] = []): Promise<Reply> {
    return this.#scripts.item(script, this.tag, args, head);
  }

  call(script: string, args: readonly (string | number)[]): Promise<Reply> {
    return this.#scripts.call(script, this.tag, args);
  }

  submit({
    id = this.newId(),
    owner = tenant,
    priority = "normal",
    tags = {},
    callback = "",
    key = "",
    body = "",
    lifetimeMs = hourMs,
    firstLookMs = hourMs,
  }: Submission = {}): Promise<[kind: string, id: string, status?: string]> {
    const event = JSON.stringify({ type: "workflow.submitted", data: {} });
    const args = [id, owner, priority, JSON.stringify(tags), callback, key, body, lifetimeMs, firstLookMs, event];
    // See lua/submit.lua for the shape.
    return this.item("submit", args) as Promise<[string, string, string?]>;
  }

  /** Starts workflows; the entries as `take` gives them, undefined where nothing was started. */
  async start(ids: readonly string[], token = "start", takeMs = 5000): Promise<(TakenEntry | undefined)[]> {
    const event = JSON.stringify({ type: "workflow.started", data: {} });
    const [, ...entries] = (await this.call("start", [token, takeMs, ...ids.flatMap((id) => [id, event])])) as Reply[];
    return entries.map((entry) => (entry === null ? undefined : takenEntry(entry)));
  }

  async take({
    most = 64,
    token = "look",
    takeMs = 5000,
    leaseMs = 6000,
    gapMs = hourMs,
    retentionMs = 0,
  } = {}): Promise<TakeAnswer> {
    const args = [most, token, takeMs, leaseMs, gapMs, retentionMs];
    const [now, lateMs, next, ...entries] = (await this.call("take", args)) as [number, number, number, ...Reply[]];
    return { now, lateMs, next, entries: entries.map(takenEntry) };
  }

  async load(id: string, from = 1, most = 1000) {
    const reply = await this.item("load", [id, from, most]);
    if (reply === null) return undefined;
    const [owner, status, ended, revision, tip, lines] = reply as [string, string, number, number, number, Reply];
    return { owner, status, hasEnded: ended === 1, revision, tip, lines: parseLines(lines) };
  }

  /** Commits as the look that has the workflow, unless another token is given. */
  async commit(id: string, commit: Commit): Promise<[kind: string, ...detail: (string | number)[]]> {
    const {
      token = (await this.connection.hget(this.key(id, "index"), "token")) ?? "",
      revision,
      seen = 0,
      status = "running",
      ended = false,
      keptMs = hourMs,
      events = [],
      claims = [],
      specs = {},
      input,
      items = [],
      expired = [],
      gifts = [],
    } = commit;
    const fields = Object.entries(specs).map(([task, text]) => [`spec:${task}`, text]);
    const opened = Object.keys(specs).map((task): [string, string, number, number, number] => ["open", task, 0, 1, 1]);
    if (input !== undefined) fields.push(["input", input]);
    const lists = [events.map((event) => JSON.stringify(event)), [...opened, ...claims], fields, items, expired, gifts];
    const args = [
      id,
      token,
      revision,
      seen,
      status,
      ended ? keptMs : 0,
      ...lists.flatMap((list) => [list.length, ...list.flat()]),
    ];
    return this.item("commit", args) as Promise<[string, ...(string | number)[]]>;
  }

  settle(id: string, settlement: Settle = {}): Promise<Reply> {
    const { token = "look", nextLook = Number.MAX_SAFE_INTEGER, seen = 0, isUnsure = false } = settlement;
    const { quiet = 0, waves = [] } = settlement;
    return this.item("settle", [id, token, nextLook, seen, Number(isUnsure), quiet, waves.length, ...waves]);
  }

  claim(
    id: string,
    task: string,
    { attempt = 1, dispatch = 1, holder = "holder", worker = "worker", leaseMs = 6000, inlineBytes = 65_536 } = {},
  ): Promise<Reply[]> {
    const args = [id, task, attempt, dispatch, holder, worker];
    return this.item("claim", args, [leaseMs, inlineBytes]) as Promise<Reply[]>;
  }

  renew(id: string, task: string, { epoch, holder }: Writer, leaseMs = 6000): Promise<Reply> {
    return this.item("renew", [id, task, epoch, holder], [leaseMs]);
  }

  keepStep(id: string, task: string, { epoch, holder }: Writer, key: string, value: string): Promise<Reply> {
    return this.item("step", [id, task, epoch, holder, "result", key, value]);
  }

  /** A write of a running task; see lua/step.lua for the kinds. */
  write(id: string, task: string, { epoch, holder }: Writer, kind: string, key: string, value: string): Promise<Reply> {
    return this.item("step", [id, task, epoch, holder, kind, key, value]);
  }

  /** Ends a claim whose task waits for a person. */
  async park(id: string, task: string, { epoch, holder }: Writer): Promise<string> {
    const event = { type: "item.opened", taskId: task, attempt: 1, epoch, data: { kind: "outcome-unknown" } };
    const item = [id, task, epoch, holder, "parked", "", 0, JSON.stringify(event)];
    const [answer] = (await this.item("record", item, [5000])) as [string, string?];
    return answer;
  }

  /** The word of a person on the item that the line `seq` opened; one that nobody has said before, unless it is given. */
  answer(
    id: string,
    seq: number,
    { owner = tenant, task = "a", step = "pay", entry = "word", word = `word-${this.#words++}` } = {},
  ): Promise<Reply> {
    return this.item("answer", [id, seq, owner, JSON.stringify({ type: "item.settled" }), task, step, entry, word]);
  }

  /** What it came to, and the status where that is told. */
  signal(id: string, { owner = tenant, key = "", body = "body" } = {}): Promise<string[]> {
    return this.item("signal", [id, owner, key, body, JSON.stringify({ type: "signal.received" })]) as Promise<
      string[]
    >;
  }

  /** Ids of one page of the inbox. */
  async items({ owner = tenant, kind = "", workflow = "", most = 50, newest = "+inf", before = "" } = {}): Promise<
    string[]
  > {
    const page = (await this.item("items", [owner, kind, workflow, most, newest, before])) as [string, ...Reply[]][];
    return page.map(([id]) => id);
  }

  progress(id: string, task: string, { epoch, holder }: Writer, message = "on it"): Promise<Reply> {
    const event = JSON.stringify({ type: "task.progressed", taskId: task, attempt: 1, epoch, data: { message } });
    return this.item("step", [id, task, epoch, holder, "progress", "", event]);
  }

  /** What it came to, or the tasks of the wave that it scheduled. */
  async record(
    id: string,
    task: string,
    { epoch, holder }: Writer,
    { kind = "completed", output = "", mayBeQuiet = false, sureMs = 5000 } = {},
  ): Promise<string> {
    const event = JSON.stringify({ type: `task.${kind}`, taskId: task, attempt: 1, epoch, data: {} });
    const item = [id, task, epoch, holder, kind, output, mayBeQuiet ? 1 : 0, event];
    const [answer, wave = ""] = (await this.item("record", item, [sureMs])) as [string, string?];
    return wave === "" ? answer : wave;
  }

  hold(
    id: string,
    task: string,
    { epoch, holder }: Writer,
    hold: string,
    atMost: [microUsd: number, tokens: number],
    bounds: [microUsd: number | "", tokens: number | ""],
  ): Promise<Reply> {
    return this.item("hold", [id, task, epoch, holder, hold, ...atMost, ...bounds]);
  }

  /** The result as the journal has it from then on, or why there is none. With a version it changes the value. */
  async share(
    id: string,
    task: string,
    { epoch, holder }: Writer,
    key: string,
    name: string,
    version: number | "" = "",
    value: Json = null,
    mostBytes = 65_536,
  ): Promise<unknown> {
    const entry = `{"key":"${key}","inputHash":"h","result":{"value":`;
    const item = [id, task, epoch, holder, key, entry, name, version, JSON.stringify(value)];
    const answer = await this.item("share", [...item, '{"type":"state.changed"}'], [mostBytes]);
    return typeof answer === "string" && answer.startsWith("{") ? JSON.parse(answer).result.value : answer;
  }

  /** Millionths of a dollar, input and output tokens. */
  async spent(id: string): Promise<Reply[]> {
    return ((await this.item("load", [id, 1, 0])) as Reply[]).slice(6);
  }

  journal(id: string, task: string): Promise<Reply> {
    return this.item("journal", [id, task]);
  }

  output(id: string, task: string): Promise<Reply> {
    return this.item("outputs", [id, task]);
  }

  cancel(id: string, owner = tenant): Promise<Reply> {
    return this.item("append", [id, owner, "cancel", JSON.stringify({ type: "cancel.requested", data: {} })]);
  }

  retry(id: string, { owner = tenant, key = "" } = {}): Promise<Reply> {
    return this.item("retry", [id, owner, key, JSON.stringify({ type: "retry.requested", data: {} })]);
  }

  /** The first line of a fork says, where its tenant should be, what a careless script would take for its time. */
  fork(source: string, fork: ForkSubmission): Promise<[kind: string, id: string, status?: string]> {
    const { last, owner = tenant, status = "running", tags = {}, key = "", body = "", firstLookMs = 0 } = fork;
    const { facts = [], fields = [], outputs = [] } = fork;
    const forkedFrom = { id: source, seq: last, at: 0 };
    const submitted = JSON.stringify({ type: "workflow.submitted", data: { forkedFrom, tenant: '"at":0' } });
    const lists = [facts.map((fact) => JSON.stringify(fact)), fields, outputs];
    const head = [source, last, this.newId(), owner, status, "normal", JSON.stringify(tags), key, body, hourMs];
    const items = lists.flatMap((list) => [list.length, ...list.flat()]);
    // See lua/fork.lua for the shape.
    return this.item("fork", [...head, firstLookMs, submitted, ...items]) as Promise<[string, string, string?]>;
  }

  forget(id: string, token = "look"): Promise<Reply> {
    return this.item("forget", [id, token], [0, 0, 5000]);
  }

  /** Ids of one page of a list. */
  async list({ owner = tenant, status = "", tag = "", most = 50, newest = "+inf", before = "" } = {}): Promise<
    string[]
  > {
    const page = (await this.item("list", [owner, status, tag, most, newest, before])) as [string, ...Reply[]][];
    return page.map(([id]) => id);
  }

  active(): Promise<Reply> {
    return this.call("active", []);
  }

  /** A workflow whose tasks are dispatched once, started and settled by a look. */
  async dispatched(specs: Record<string, string> = { a: specText() }, revisions = 1): Promise<Dispatched> {
    const [, id] = await this.submit();
    await this.start([id], "first");
    const events = [{ type: "workflow.planned" }, { type: "tasks.scheduled" }];
    for (let revision = 1; revision < revisions; revision++) await this.commit(id, { revision });
    await this.commit(id, { revision: revisions, events, specs });
    await this.settle(id, { token: "first", seen: 4 });
    return { id, revision: revisions + 1, seen: 4 };
  }

  /** A workflow that has ended, and whose retention is over. */
  async ended(submission: Submission = {}, status = "completed"): Promise<string> {
    const [, id] = await this.submit(submission);
    await this.start([id], "first");
    await this.commit(id, { revision: 1, seen: 2, status, ended: true, events: [{ type: `workflow.${status}` }] });
    await this.setDue(id, 1);
    return id;
  }

  key(id: string, name: string): string {
    return `${this.tag}:wf:${id}:${name}`;
  }

  async now(): Promise<number> {
    const [seconds, micros] = await (this.connection instanceof Cluster ? this.#anyNode() : this.connection).time();
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  }

  /** When the workflow is looked at next; undefined when never. */
  async due(id: string): Promise<number | undefined> {
    return numberOf(await this.connection.zscore(`${this.tag}:due`, id));
  }

  async setDue(id: string, at: number): Promise<void> {
    await this.connection.zadd(`${this.tag}:due`, at, id);
  }

  /** When the lease of a task ends; undefined when it has none. */
  async lease(id: string, task: string): Promise<number | undefined> {
    return numberOf(await this.connection.zscore(`${this.tag}:leases`, `${id}|${task}`));
  }

  /** Lets the lease of a task be over, as if its worker had died a while ago. */
  async expireLease(id: string, task: string): Promise<void> {
    await this.connection.zadd(`${this.tag}:leases`, 1, `${id}|${task}`);
  }

  /** Makes it so that takes have come without a gap for long: leases are judged. */
  async calm(): Promise<void> {
    await this.connection.hset(`${this.tag}:tick`, { last: await this.now(), calm: 1 });
  }

  /** Types of the events in the log, in order. */
  async types(id: string): Promise<string[]> {
    const lines = (await this.load(id))?.lines ?? [];
    return lines.map(({ text }) => (JSON.parse(text) as { type: string }).type);
  }

  /** Names of all keys of this shard. */
  async keys(): Promise<string[]> {
    const nodes = this.connection instanceof Cluster ? this.connection.nodes("master") : [this.connection];
    const names = await Promise.all(nodes.map((node) => node.keys(`${this.tag}:*`)));
    return names.flat().toSorted();
  }

  /** All that the shard holds, byte for byte, to see that something changed nothing. */
  async contents(): Promise<Record<string, string>> {
    const keys = await this.keys();
    const dumps = await Promise.all(keys.map((key) => this.connection.dumpBuffer(key)));
    return Object.fromEntries(keys.map((key, index) => [key, dumps[index]?.toString("base64") ?? ""]));
  }

  /** Counts what the shard publishes from now on. */
  async listen(): Promise<{ count(): number; stop(): void }> {
    const subscriber = this.connection.duplicate();
    let count = 0;
    subscriber.on("message", () => count++);
    await subscriber.subscribe(wakeChannel(this.name));
    return { count: () => count, stop: () => subscriber.disconnect() };
  }

  #anyNode() {
    const [node] = this.connection instanceof Cluster ? this.connection.nodes("master") : [];
    if (!node) throw new Error("a cluster without nodes");
    return node;
  }
}

function takenEntry(reply: Reply): TakenEntry {
  // See lua/take.lua for the shape; `start` leaves out the claims.
  const [id, revision, repeated = 0, lines = [], expired = []] = reply as [
    string,
    number,
    number?,
    Reply?,
    (string | number)[]?,
  ];
  return { id, revision, isRepeated: repeated === 1, lines: parseLines(lines), expired };
}

const numberOf = (text: string | null) => (text === null ? undefined : Number(text));
