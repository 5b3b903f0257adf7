import { randomBytes } from "node:crypto";
import {
  flotillaAttributes,
  type Logger,
  type Metrics,
  type Span,
  type Tracer,
  withLogFields,
} from "@flotilla/runtime";
import {
  type AgentCatalog,
  decide,
  type Decision,
  type EventBody,
  itemSeqOf,
  lookEveryMs,
  type Look,
  type Priority,
  shardOf,
  type Wave,
  type WorkflowState,
} from "@flotilla/workflow";
import type { Admitted } from "./admission.ts";
import { shardTag, tagOf } from "./keys.ts";
import { advance, everyLine, type FoldedLog, parseLines } from "./log.ts";
import { LruMap } from "./lru-map.ts";
import type { Queues, TracedDispatch } from "./queues.ts";
import type { Reply, Scripts } from "./scripts.ts";
import { isOutage } from "./outage.ts";
import { specsOfEvent } from "./spec.ts";
import { waveText } from "./wave.ts";
import { leaseMs } from "./claims.ts";

/** A look that is not settled within this time is taken over by whoever looks next: a dead supervisor costs 5 s. */
export const takeMs = 4000;

/** Takes further apart than this are no calm: leases are not judged until a full lease has passed without a gap. */
const calmGapMs = 2000;

/** Least time between two searches for the jobs of one workflow: looks that come for other reasons do not search. */
const leastProbeMs = lookEveryMs / 2;

/** Looks in one batch, of each shard. */
const looksPerShard = 64;

/** A look that Redis was away from is made again after this, in ms: put off as one that fails, work waited 5 s and more. */
const cutOffMs = 250;

/** How long a look is put off after it threw: 5 s, doubling up to a minute. */
const shortestPutOffMs = 5000;
const longestPutOffMs = 60_000;

/** How long one stays that should be forgotten and is not archived, until it is looked at again. */
const unarchivedMs = 5000;

/** Workflows whose folded state is kept between looks. */
const cachedWorkflows = 5000;

export interface ReconcilerDeps {
  scripts: Scripts;
  queues: Queues;
  /** The agent types that were there a moment ago. */
  agents(): AgentCatalog;
  /** The agent types that are there now. */
  readAgents(): Promise<AgentCatalog>;
  /** Told when something on a shard becomes due, in ms from now; not later than that it is to be swept. */
  onDue(shard: string, inMs: number): void;
  /** Told when a workflow that was active has ended, or begins to wait for a person, by a decision of this one. */
  onRoom(): void;
  defaults: Look["defaults"];
  /** How long one try of what was handed over may take, in ms. */
  handoffTimeoutMs: number;
  /** How long a workflow is kept after its end, in ms. */
  retentionMs: number;
  /** Whether nothing may be forgotten before it is archived, and before it is exported. */
  hasArchive: boolean;
  hasExport: boolean;
  metrics: Metrics;
  logger: Logger;
  tracer: Tracer;
}

/** A workflow that this supervisor has taken for one look. */
interface Taken {
  id: string;
  tag: string;
  token: string;
  now: number;
  revision: number;
  isRepeated: boolean;
  lines: Reply;
  expired: Look["expired"];
  /** From where the trace of its first look goes on; that of any other from the request. */
  traceparent?: string | undefined;
}

interface Cached extends FoldedLog {
  /** When jobs were last looked for, in Redis time. */
  probedAt: number;
}

/** What a look came to, and when the next one is due. */
interface Settlement {
  nextLook: number;
  seen: number;
  /** Whether jobs may be missing that an earlier look was to add: one that was cut off, and this one has added none. */
  isUnsure: boolean;
  quiet: number;
  waves: readonly Wave[];
}

/**
 * The supervisor's loop: take, load, fold, decide, commit, dispatch, settle; see architecture "The supervisor". Any
 * number of them share the work: a look has a token, a decision a revision, a dispatch a deterministic id.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #cache = new LruMap<string, Cached>(cachedWorkflows);
  readonly #failures = new LruMap<string, number>(cachedWorkflows);
  /** By shard, for a sweep reads some of them and the metric tells of all. */
  readonly #lateMs = new Map<string, number>();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Takes what is due on these shards and looks at it. Resolves when every job is dispatched. */
  async sweep(shardNames: Iterable<string>): Promise<void> {
    const token = newToken();
    const taken: Taken[] = [];
    await Promise.all(
      Array.from(shardNames, async (shard) => {
        const tag = shardTag(shard);
        const args = [looksPerShard, token, takeMs, leaseMs, calmGapMs, this.#deps.retentionMs];
        // See the header of lua/take.lua for the shape.
        const [now, late, nextDue, ...entries] = (await this.#deps.scripts.call("take", tag, args)) as [
          number,
          number,
          number,
          ...[string, number, number, Reply, (string | number)[]][],
        ];
        if (nextDue >= 0) this.#deps.onDue(shard, nextDue - now);
        this.#lateMs.set(shard, late);
        for (const [id, revision, repeated, lines = [], expired] of entries) {
          taken.push({ id, tag, token, now, revision, isRepeated: repeated === 1, lines, expired: pairs(expired) });
        }
      }),
    );
    this.#deps.metrics.dueLagSeconds.set(Math.max(0, ...this.#lateMs.values()) / 1000);
    await this.#lookAt(taken);
  }

  /** Starts workflows that were admitted, and looks at them. Answers once they are dispatched. */
  async start(workflows: readonly Admitted[]): Promise<void> {
    const token = newToken();
    const traces = new Map(workflows.map(({ id, traceparent }) => [id, traceparent]));
    const byTag = Map.groupBy(traces.keys(), tagOf);
    const event: EventBody = { type: "workflow.started", data: {} };
    const taken: Taken[] = [];
    await Promise.all(
      [...byTag].map(async ([tag, group]) => {
        const items = group.flatMap((id) => [id, JSON.stringify(event)]);
        // See the header of lua/start.lua for the shape.
        const [now, ...entries] = (await this.#deps.scripts.call("start", tag, [token, takeMs, ...items])) as [
          number,
          ...([string, number, number, Reply] | null)[],
        ];
        for (const entry of entries) {
          if (!entry) continue;
          const [id, revision, , lines] = entry;
          taken.push({
            id,
            tag,
            token,
            now,
            revision,
            isRepeated: false,
            lines,
            expired: [],
            traceparent: traces.get(id),
          });
        }
      }),
    );
    await this.#lookAt(taken);
  }

  async #lookAt(taken: readonly Taken[]): Promise<void> {
    const dispatches: TracedDispatch[] = [];
    const admissions: (Admitted & { priority: Priority })[] = [];
    const looks = await Promise.all(
      taken.map(async (look) => {
        try {
          const settlement = await withLogFields({ workflowId: look.id }, () =>
            this.#look(look, dispatches, admissions),
          );
          this.#failures.delete(look.id);
          return { look, settlement };
        } catch (error) {
          return { look, settlement: this.#putOff(look, error) };
        }
      }),
    );
    // Nothing is settled before every job is acknowledged: a look that is cut off here is taken again, and repeats them.
    if (dispatches.length > 0) await this.#deps.queues.dispatch(dispatches);
    if (admissions.length > 0) await this.#deps.queues.admit(admissions);
    for (const { look, settlement } of looks) {
      if (settlement) this.#settle(look, settlement);
    }
  }

  async #look(
    taken: Taken,
    dispatches: TracedDispatch[],
    admissions: (Admitted & { priority: Priority })[],
  ): Promise<Settlement | undefined> {
    if (taken.revision < 0) {
      this.#cache.delete(taken.id);
      const head = [Number(this.#deps.hasArchive), Number(this.#deps.hasExport), unarchivedMs];
      await this.#deps.scripts.item("forget", taken.tag, [taken.id, taken.token], head);
      return undefined;
    }
    const held = await this.#fold(taken);
    const decision = await this.#decide(taken, held);
    const { traceparent, seen } = await this.#traced(taken, held, decision, () =>
      decision.events.length > 0 ? this.#commit(taken, held, decision) : Promise.resolve(held.state.seq),
    );
    // A loser looks again at once, at what the winner left.
    if (seen === undefined) {
      return { nextLook: taken.now, seen: held.state.seq, isUnsure: taken.isRepeated, quiet: 0, waves: [] };
    }
    // Where it ends, the commit was the settlement too.
    if (decision.after.endedAt !== undefined) return undefined;
    for (const dispatch of decision.dispatches) dispatches.push({ workflowId: taken.id, dispatch, traceparent });
    const { priority = "normal" } = held.state.request;
    if (decision.admit) admissions.push({ id: taken.id, priority, traceparent: held.state.traceparent });
    const { quiet, waves } = decision;
    return { nextLook: Math.min(decision.nextLook, taken.now + lookEveryMs), seen, isUnsure: false, quiet, waves };
  }

  /** Commits in a span, if there is anything to show; a workflow that waits for days is looked at without one. */
  async #traced(
    { id, traceparent: started }: Taken,
    { state }: Cached,
    { events, dispatches }: Decision,
    commit: () => Promise<number | undefined>,
  ): Promise<{ traceparent: string | undefined; seen: number | undefined }> {
    const traceparent = started ?? state.traceparent;
    if (traceparent === undefined || (events.length === 0 && dispatches.length === 0)) {
      return { traceparent, seen: await commit() };
    }
    const attributes = {
      [flotillaAttributes.workflow]: id,
      [flotillaAttributes.events]: events.map(({ type }) => type),
    };
    return this.#deps.tracer.resume(traceparent, "look", { attributes }, async (span: Span) => ({
      traceparent: span.traceparent,
      seen: await commit(),
    }));
  }

  async #fold(taken: Taken): Promise<Cached> {
    const cached = this.#cache.get(taken.id);
    const folded = advance(taken.id, cached, parseLines(taken.lines)) ?? (await this.#read(taken));
    const held = { ...folded, probedAt: cached?.probedAt ?? -Infinity };
    this.#cache.set(taken.id, held);
    return held;
  }

  async #read({ id, tag }: Taken): Promise<FoldedLog> {
    // See the header of lua/load.lua for the shape.
    const reply = (await this.#deps.scripts.item("load", tag, [id, 1, everyLine])) as [
      string,
      string,
      number,
      number,
      number,
      Reply,
    ];
    const folded = advance(id, undefined, parseLines(reply[5]));
    if (!folded) throw new Error(`the log of ${id} is empty`);
    return folded;
  }

  async #decide(taken: Taken, held: Cached): Promise<Decision> {
    const { now, isRepeated, expired } = taken;
    // A plan is judged by the agents of now: one that registered a moment ago must not be unknown.
    const isJudgement =
      [...held.state.tasks.values()].some(({ stage }) => stage.kind === "proposing") ||
      [...held.state.handoffs.values()].some(({ status }) => status === "requested");
    const agents = isJudgement ? await this.#deps.readAgents() : this.#deps.agents();
    const { defaults, handoffTimeoutMs } = this.#deps;
    const look = { now, isRepeated, expired, missing: [], agents, defaults, handoffTimeoutMs };
    const decision = decide(held.state, look);
    if (now - held.probedAt < leastProbeMs) return decision;
    if (decision.admit) await this.#probeAdmission(taken, held);
    if (decision.suspects.length === 0) return decision;
    this.#cache.set(taken.id, { ...held, probedAt: now });
    const missing = await this.#deps.queues.missing(taken.id, decision.suspects);
    return missing.length > 0 ? decide(held.state, { ...look, missing }) : decision;
  }

  /** Adding the admission job of a workflow again is a no-op while a broken one is there: that one is removed. */
  async #probeAdmission({ id, now }: Taken, held: Cached): Promise<void> {
    const isNew = now - held.state.createdAt < lookEveryMs;
    if (isNew) return;
    this.#cache.set(id, { ...held, probedAt: now });
    if (await this.#deps.queues.isAdmissible(id)) return;
    this.#deps.metrics.recoveryOperations.inc({ strategy: "repair" });
    this.#deps.logger.warn({ workflowId: id }, "its admission job was missing or damaged, and is added again");
  }

  /** The place of the last line seen once the decision stands; undefined when it was refused. */
  async #commit(taken: Taken, held: Cached, { events, claims, gifts, after }: Decision): Promise<number | undefined> {
    const texts = events.map((event) => JSON.stringify(event));
    const changes = [
      ...events.flatMap(firstDispatches).map((taskId) => ["open", taskId, 0, 1, 1]),
      ...claims.map((change) => {
        const { kind, taskId, epoch } = change;
        return kind === "reopen" ? [kind, taskId, epoch, change.attempt, change.dispatch] : [kind, taskId, epoch, 0, 0];
      }),
    ];
    const specs = events.flatMap((event) => specsOfEvent(event, after));
    const items = events.flatMap((event, index) =>
      event.type === "item.opened" ? [[index + 1, event.data.kind]] : [],
    );
    const expired = events.flatMap((event) => (event.type === "item.expired" ? [itemSeqOf(event.data.item)] : []));
    const journal = gifts.flatMap(({ taskId, gift: { step: key, inputHash, given: result } }) => {
      return [taskId, key, JSON.stringify({ key, inputHash, result })];
    });
    const hasEnded = after.endedAt !== undefined;
    // See the header of lua/commit.lua for the shape.
    const [answer, firstSeq, at] = (await this.#deps.scripts.item("commit", taken.tag, [
      taken.id,
      taken.token,
      taken.revision,
      held.state.seq,
      after.status,
      hasEnded ? Math.max(1, this.#deps.retentionMs) : 0,
      texts.length,
      ...texts,
      changes.length,
      ...changes.flat(),
      specs.length,
      ...specs.flat(),
      items.length,
      ...items.flat(),
      expired.length,
      ...expired,
      gifts.length,
      ...journal,
    ])) as ["ok", number, number] | [string];
    if (answer !== "ok" || firstSeq === undefined || at === undefined) {
      this.#deps.metrics.fencedWrites.inc({ script: "commit" });
      return undefined;
    }
    this.#measure(events, after.createdAt, at);
    if (isActive(held.state) && !isActive(after)) this.#deps.onRoom();
    // Facts that came between were not seen: the state stays where it was, and the next look folds both.
    if (firstSeq !== held.state.seq + 1) return held.state.seq;
    if (hasEnded) {
      this.#cache.delete(taken.id);
      return firstSeq + texts.length - 1;
    }
    const lines = texts.map((text, index) => ({ seq: firstSeq + index, at, text }));
    const folded = advance(taken.id, held, [held.last, ...lines]);
    if (folded) this.#cache.set(taken.id, { ...folded, probedAt: held.probedAt });
    return firstSeq + texts.length - 1;
  }

  #settle(look: Taken, { nextLook, seen, isUnsure, quiet, waves }: Settlement): void {
    const ahead = waves.map((wave, index) => waveText(wave, index < waves.length - 1));
    this.#deps.scripts
      .item("settle", look.tag, [look.id, look.token, nextLook, seen, Number(isUnsure), quiet, ahead.length, ...ahead])
      .then((answer) => {
        this.#deps.onDue(shardOf(look.id), answer === "again" ? 0 : nextLook - look.now);
      })
      // Not settled is as if this supervisor had died: the workflow is due again soon.
      .catch((error: unknown) => this.#deps.logger.warn({ err: error, workflowId: look.id }, "not settled"));
  }

  #putOff({ id, now }: Taken, error: unknown): Settlement {
    this.#cache.delete(id);
    // It may have committed, its answer lost, and added no job: the next look repeats them.
    const unknown = { seen: 0, isUnsure: true, quiet: 0, waves: [] };
    if (isOutage(error)) {
      this.#deps.logger.warn({ err: error, workflowId: id }, "a look was cut off");
      return { ...unknown, nextLook: now + cutOffMs };
    }
    const times = (this.#failures.get(id) ?? 0) + 1;
    this.#failures.set(id, times);
    this.#deps.metrics.lookFailures.inc();
    this.#deps.logger.error({ err: error, workflowId: id, times }, "a look failed");
    return { ...unknown, nextLook: now + Math.min(shortestPutOffMs * 2 ** (times - 1), longestPutOffMs) };
  }

  #measure(events: readonly EventBody[], createdAt: number, at: number): void {
    const { metrics } = this.#deps;
    for (const event of events) {
      const { type } = event;
      const outcome = /^handoff\.(completed|failed|rolled_back)$/.exec(type)?.[1];
      if (outcome !== undefined) metrics.handoffs.inc({ outcome });
      const strategy = strategyMeasured(event);
      if (strategy) metrics.recoveryOperations.inc({ strategy });
      if (type === "task.crashed") metrics.recoveryOperations.inc({ strategy: "redispatch" });
      if (type === "task.quarantined") metrics.recoveryOperations.inc({ strategy: "quarantine" });
      if (type === "repair.applied") metrics.recoveryOperations.inc({ strategy: "repair" });
      if (/^workflow\.(completed|failed|aborted|cancelled)$/.test(type)) {
        metrics.workflowDurationSeconds.observe(Math.max(0, at - createdAt) / 1000);
      }
    }
  }
}

/** The tasks that an event schedules for the first time: each gets the claim that its worker will take. */
function firstDispatches(event: EventBody): string[] {
  switch (event.type) {
    case "tasks.scheduled":
      return event.data.tasks.flatMap(({ taskId, attempt, dispatch }) =>
        attempt === 1 && dispatch === 1 ? [taskId] : [],
      );
    case "task.scheduled":
      return event.attempt === 1 && event.data.dispatch === 1 ? [event.taskId] : [];
    default:
      return [];
  }
}

/** How the metrics name what is done about a failure. */
function strategyMeasured(event: EventBody): string | undefined {
  if (event.type === "task.compensated") return "compensate";
  if (event.type === "task.retrying") return event.data.agent === undefined ? "retry" : "fallback";
  return event.type === "item.opened" && event.data.kind === "escalation" ? "escalate" : undefined;
}

/** Whether it is one of those that `MAX_ACTIVE_WORKFLOWS` bounds. */
function isActive({ status, endedAt }: WorkflowState): boolean {
  return endedAt === undefined && status !== "queued" && status !== "waiting";
}

function newToken(): string {
  return randomBytes(9).toString("base64url");
}

function pairs(flat: readonly (string | number)[] = []): { taskId: string; epoch: number }[] {
  const claims: { taskId: string; epoch: number }[] = [];
  for (let index = 0; index < flat.length; index += 2) {
    claims.push({ taskId: String(flat[index]), epoch: Number(flat[index + 1]) });
  }
  return claims;
}
