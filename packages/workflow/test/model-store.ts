import {
  addedPhases,
  type ClaimChange,
  type Dispatch,
  type EventBody,
  type Fork,
  type ItemDecision,
  itemIdOf,
  type ItemKind,
  type Json,
  type PhaseRequest,
  schedulingOf,
  type TaskRequest,
  type Wave,
  type WorkflowEvent,
  type WorkflowRequest,
} from "@flotilla/workflow";
import { undoIdOf } from "../src/compensation.ts";

/** The workflow that every model store holds. */
export const workflowId = "wf_00_00000000000000000000000000";

const leaseMs = 6000;
const takeMs = 5000;
const calmGapMs = 2000;
const firstLookMs = 5000;

/** A rule that a store for a negative control leaves out; each is missed by a property. */
export type Defect =
  /** Whoever knows a task may write to it, whatever became of its claim. */
  | "claims-are-not-fenced"
  /** A decision is committed whichever one came before it. */
  | "revisions-are-not-compared"
  /** A workflow is ended over facts that its last decision did not see. */
  | "ends-over-unseen-facts"
  /** Facts are taken after the end. */
  | "writes-after-the-end"
  /** A retry leaves the claims as they were when the workflow ended. */
  | "retry-leaves-claims"
  /** A retry is taken whatever the workflow came to. */
  | "retry-resumes-anything"
  /** A fork believes that what was under way in its source is under way in itself. */
  | "forks-are-not-told"
  /** An item may be settled that is not open any more. */
  | "items-are-settled-again"
  /** An item expires that has just been settled. */
  | "expires-over-an-answer"
  /** A look that is settled forgets facts that came while it went on. */
  | "settle-forgets-facts";

/** Why somebody looks: `safety` is the look that nothing asked for, `lookEveryMs` after the last. */
export type LookCause = "admission" | "fact" | "again" | "lease" | "takeover" | "timer" | "safety";

/** An item that waits for a person. */
export interface OpenItem {
  id: string;
  /** The task that asks, and its attempt; none where it is about the plan of the request. */
  at: { taskId?: string; attempt?: number };
  kind: ItemKind;
  /** Where it is about a plan. */
  phases?: readonly PhaseRequest[];
  /** Whether it waits only for a time. */
  expires: boolean;
}

interface Claim {
  attempt: number;
  dispatch: number;
  epoch: number;
  claims: number;
  state: "open" | "held" | "recorded" | "revoked";
  holder: string;
  deadline: number | undefined;
}

/** What a look is given; see lua/take.lua. */
export interface Taken {
  token: string;
  now: number;
  revision: number;
  isRepeated: boolean;
  lines: readonly WorkflowEvent[];
  expired: { taskId: string; epoch: number }[];
  cause: LookCause;
}

/** How a worker writes: the task, and the claim that it believes to have. */
export interface Writer {
  taskId: string;
  epoch: number;
  holder: string;
}

export interface Settlement {
  nextLook: number;
  seen: number;
  /** Jobs may be missing that a look which was cut off was to add. */
  isUnsure: boolean;
  quiet: number;
  waves: readonly Wave[];
  cause: LookCause;
}

/** What a fork begins with; see lua/fork.lua. */
export interface Origin {
  fork: Fork;
  /** Of the source. */
  log: readonly WorkflowEvent[];
  outputs: ReadonlyMap<string, Json>;
  now: number;
}

type Closed = "ended" | "cancelled";

/**
 * One workflow in the store, in memory: the same rules of acceptance as the scripts of packages/fleet/src/lua, a
 * method for each. Time stands still but for `now`, which the simulation moves.
 */
export class ModelStore {
  now = 1_000_000;
  readonly log: WorkflowEvent[] = [];
  readonly outputs = new Map<string, Json>();
  /** Writes to the log that came after the end; none, unless a rule is left out. */
  writesAfterEnd = 0;
  /** Decisions of looks that somebody else had taken over meanwhile. */
  readonly #defect: Defect | undefined;
  readonly #claims = new Map<string, Claim>();
  readonly #leases = new Map<string, number>();
  readonly #specs = new Map<string, TaskRequest>();
  readonly #items = new Map<string, OpenItem>();
  #due: { at: number; cause: LookCause };
  #isQueued = true;
  #hasCancel = false;
  #isUndoing = false;
  #hasEnded = false;
  #revision = 0;
  #seen = 1;
  #wants = 0;
  #quiet = 0;
  #waves: readonly Wave[] = [];
  /** Jobs of a wave may not have been added. */
  #isUnsure = false;
  #taken: string | undefined;
  #lastTake: number | undefined;
  #calmSince = 0;

  readonly #request: WorkflowRequest;

  constructor(request: WorkflowRequest, defect?: Defect, origin?: Origin) {
    this.#request = request;
    this.#defect = defect;
    this.#due = { at: this.now + (request.startAt === undefined ? firstLookMs : 0), cause: "admission" };
    if (origin) this.#begin(origin);
    else this.#append([{ type: "workflow.submitted", data: { tenant: "default", request } }]);
  }

  #begin({ fork, log, outputs, now }: Origin): void {
    const { submitted, facts, state, claims } = fork;
    this.now = now;
    const [first, ...shared] = log.slice(0, submitted.data.forkedFrom.seq);
    if (first) this.log.push({ ...first, ...submitted }, ...shared);
    if (this.#defect !== "forks-are-not-told") this.#append(facts);
    for (const { taskId, completedAt, ...claim } of claims) {
      const kept = completedAt > 0 ? "recorded" : "revoked";
      this.#claims.set(taskId, { ...claim, state: kept, holder: "-", deadline: undefined });
      const output = outputs.get(taskId);
      if (completedAt > 0 && output !== undefined) this.outputs.set(taskId, output);
    }
    for (const { request } of state.isPlanned ? state.phases : []) {
      for (const task of request.tasks) this.#specs.set(task.id, task);
    }
    for (const { id: taskId, agent, input, origin } of state.tasks.values()) {
      if (origin) this.#specs.set(taskId, { id: taskId, agent, input });
    }
    this.#isQueued = state.status === "queued";
    if (!this.#isQueued) this.#due = { at: now, cause: "fact" };
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The next time at which `take` could find something by itself. */
  get nextWake(): number {
    return Math.min(this.#due.at, ...this.#leases.values());
  }

  start(token: string): Taken | undefined {
    if (this.#closed() || !this.#isQueued || this.#taken !== undefined) return undefined;
    this.#append([{ type: "workflow.started", data: {} }]);
    this.#isQueued = false;
    this.#taken = token;
    this.#due = { at: this.now + takeMs, cause: "takeover" };
    this.#revision++;
    const { now } = this;
    const lines = [...this.log];
    return { token, now, revision: this.#revision, isRepeated: false, lines, expired: [], cause: "admission" };
  }

  take(token: string): Taken | undefined {
    const { now } = this;
    if (this.#lastTake === undefined || now - this.#lastTake > calmGapMs) this.#calmSince = now;
    this.#lastTake = now;
    if (this.#hasEnded) return undefined;
    const expired: Taken["expired"] = [];
    if (now - this.#calmSince >= leaseMs) {
      for (const [taskId, until] of this.#leases) {
        if (until > now) continue;
        expired.push({ taskId, epoch: this.#claim(taskId).epoch });
        if (this.#taken === undefined) this.#due = { at: now, cause: "lease" };
      }
    }
    if (this.#due.at > now) return undefined;
    const isRepeated = this.#taken !== undefined || this.#isUnsure;
    const { cause } = this.#due;
    this.#taken = token;
    this.#due = { at: now + takeMs, cause: "takeover" };
    this.#quiet = 0;
    this.#waves = [];
    return { token, now, revision: this.#revision, isRepeated, lines: this.log.slice(this.#seen - 1), expired, cause };
  }

  /** The place of the first event, or why the decision is refused. */
  commit(
    { token, revision, seen }: { token: string; revision: number; seen: number },
    events: readonly EventBody[],
    changes: readonly ClaimChange[],
    isEnd: boolean,
  ): number | "stale" | "unseen" | "claimed" | "settled" {
    if (this.#hasEnded) return "stale";
    const isOvertaken = this.#taken !== token || revision !== this.#revision;
    if (isOvertaken && this.#defect !== "revisions-are-not-compared") return "stale";
    const begins = events.some(({ type }) => type === "workflow.compensating");
    if ((isEnd || begins) && seen !== this.log.length && this.#defect !== "ends-over-unseen-facts") return "unseen";
    const claims = this.#changed(changes);
    if (!claims) return "claimed";
    const expired = events.flatMap((event) => (event.type === "item.expired" ? [event.data.item] : []));
    const isSettled = expired.some((item) => !this.#items.has(item));
    if (isSettled && this.#defect !== "expires-over-an-answer") return "settled";
    for (const item of expired) this.#items.delete(item);
    for (const [taskId, claim] of claims) {
      this.#claims.set(taskId, claim);
      this.#leases.delete(taskId);
    }
    for (const event of events) {
      if (event.type === "handoff.accepted") {
        this.#specs.set(event.data.task, { id: event.data.task, agent: "plain", input: "work" });
      }
      if (event.type === "workflow.compensating") {
        this.#hasCancel = false;
        this.#isUndoing = true;
        const requests = [...this.#specs.values()].filter(({ id }) => event.data.tasks.includes(id));
        for (const { id, compensate } of requests) {
          if (compensate) this.#specs.set(undoIdOf(id), { id: undoIdOf(id), ...compensate });
        }
      }
      if (event.type !== "workflow.planned") continue;
      for (const task of addedPhases(event, this.#request).flatMap((phase) => phase.tasks)) {
        this.#specs.set(task.id, task);
      }
    }
    const first = this.log.length + 1;
    this.#append(events);
    this.#revision++;
    this.#hasEnded = isEnd;
    if (isEnd) this.#items.clear();
    return first;
  }

  settle(token: string, { nextLook, seen, isUnsure, quiet, waves, cause }: Settlement): void {
    if (this.#taken !== token) return;
    this.#taken = undefined;
    this.#seen = seen;
    this.#isUnsure = isUnsure;
    if (this.#wants > seen && this.#defect !== "settle-forgets-facts") {
      this.#due = { at: this.now, cause: "again" };
    } else {
      this.#due = { at: nextLook, cause };
      this.#quiet = quiet;
      this.#waves = waves;
    }
  }

  claim(
    job: { taskId: string; attempt: number; dispatch: number },
    holder: string,
  ): { epoch: number; spec: TaskRequest } | "held" | "settled" | "superseded" | "unknown" | Closed {
    const closed = this.#closed();
    if (closed) return closed;
    const spec = this.#specs.get(job.taskId);
    if (!spec) return "unknown";
    const claim = this.#claim(job.taskId);
    if (claim.state === "held" && claim.holder === holder) return { epoch: claim.epoch, spec };
    const over = claim.state === "recorded" ? "settled" : "superseded";
    if (job.attempt < claim.attempt || job.dispatch < claim.dispatch) return over;
    if (claim.state === "held") return "held";
    if (claim.state !== "open") return over;
    const epoch = claim.epoch + 1;
    const deadline = spec.timeoutMs === undefined ? undefined : this.now + spec.timeoutMs;
    const claims = claim.claims + 1;
    this.#claims.set(job.taskId, { ...claim, epoch, claims, state: "held", holder, deadline });
    this.#leases.set(job.taskId, Math.min(this.now + leaseMs, deadline ?? Infinity));
    const at = { taskId: job.taskId, attempt: claim.attempt, epoch };
    this.#append([{ type: "task.started", ...at, data: { worker: "w", claim: claims } }]);
    return { epoch, spec };
  }

  renew(writer: Writer): "renewed" | "superseded" | Closed {
    const lost = this.#lost(writer);
    if (lost) return lost;
    const { state, deadline } = this.#claim(writer.taskId);
    if (state === "held") this.#leases.set(writer.taskId, Math.min(this.now + leaseMs, deadline ?? Infinity));
    return "renewed";
  }

  /** A word of a running task; wants no look. */
  progress(writer: Writer, event: EventBody): "kept" | "superseded" | Closed {
    const lost = this.#lost(writer);
    if (lost) return lost;
    if (this.#claim(writer.taskId).state !== "held") return "superseded";
    this.#append([event]);
    return "kept";
  }

  /** What the record has scheduled, for the writer to dispatch; or why it is refused. */
  record(
    writer: Writer,
    kind: "completed" | "failed" | "released" | "parked" | "died",
    event: EventBody,
    output?: Json,
  ): readonly Dispatch[] | "superseded" | Closed {
    const lost = this.#lost(writer);
    if (lost) return lost;
    const claim = this.#claim(writer.taskId);
    if (claim.state !== "held" && this.#defect !== "claims-are-not-fenced") return [];
    const isDone = kind === "completed" || kind === "failed";
    this.#claims.set(writer.taskId, { ...claim, state: isDone ? "recorded" : "revoked" });
    this.#leases.delete(writer.taskId);
    if (output !== undefined) this.outputs.set(writer.taskId, output);
    this.#append([event]);
    if (event.type === "task.released" && event.data.awaits) this.isAwaited = true;
    const mayBeQuiet = event.type === "task.completed" && event.data.append === undefined;
    if (mayBeQuiet && this.#quiet > 0) this.#quiet--;
    else if (mayBeQuiet && this.#waves.length > 0) return this.#scheduleWave();
    else this.#wantLook();
    return [];
  }

  /** What waits for a person now. */
  get items(): OpenItem[] {
    return [...this.#items.values()];
  }

  /** Whether the word of a person was taken: the first one on an item is. */
  answer({ id, at, phases }: OpenItem, decision: ItemDecision): boolean {
    if (this.#closed()) return false;
    const isOpen = this.#items.delete(id) || this.#defect === "items-are-settled-again";
    if (!isOpen) return false;
    // Whoever edits puts the same plan in its place: what comes of it is then the same.
    const edit = decision === "edit" && phases ? { edit: { phases } as unknown as Json } : {};
    this.#append([{ type: "item.settled", ...at, data: { item: id, decision, by: "person", ...edit } }]);
    this.#wantLook();
    return true;
  }

  /** Whether some task waits for a signal that has not come. */
  isAwaited = false;

  signal(): void {
    if (this.#closed()) return;
    this.#append([{ type: "signal.received", data: { name: "go", by: "person" } }]);
    this.isAwaited = false;
    this.#wantLook();
  }

  cancel(compensates = false): void {
    if (this.#closed() || this.#isUndoing) return;
    this.#append([{ type: "cancel.requested", data: compensates ? { compensate: true } : {} }]);
    this.#hasCancel = true;
    this.#wantLook();
  }

  /** Whether the workflow goes on; only one that failed or was aborted does. */
  retry(): boolean {
    const last = this.log.at(-1)?.type;
    const isRetryable = last === "workflow.failed" || last === "workflow.aborted";
    if (!this.#hasEnded || this.#isUndoing || (!isRetryable && this.#defect !== "retry-resumes-anything")) return false;
    this.#hasEnded = false;
    this.#append([{ type: "retry.requested", data: {} }]);
    for (const taskId of this.#defect === "retry-leaves-claims" ? [] : this.#specs.keys()) {
      const claim = this.#claim(taskId);
      if (claim.state === "recorded") continue;
      this.#claims.set(taskId, { ...claim, state: "revoked", holder: "-" });
      this.#leases.delete(taskId);
    }
    this.#taken = undefined;
    this.#quiet = 0;
    this.#waves = [];
    this.#wantLook();
    return true;
  }

  #scheduleWave(): readonly Dispatch[] {
    const [wave, ...others] = this.#waves;
    if (!wave) return [];
    this.#append([schedulingOf(wave.dispatches)]);
    this.#quiet = wave.quiet;
    this.#waves = others;
    this.#isUnsure = true;
    if (this.#due.at > this.now + takeMs) this.#due = { at: this.now + takeMs, cause: "takeover" };
    return wave.dispatches;
  }

  #append(events: readonly EventBody[]): void {
    if (this.#hasEnded) this.writesAfterEnd++;
    for (const event of events) {
      const seq = this.log.push({ ...event, seq: this.log.length + 1, at: this.now });
      if (event.type !== "item.opened") continue;
      const { taskId, attempt, data } = event;
      const id = itemIdOf(workflowId, seq);
      const at = { ...(taskId !== undefined && { taskId }), ...(attempt !== undefined && { attempt }) };
      const plan = data.kind === "plan" && data.detail.phases ? { phases: data.detail.phases } : {};
      this.#items.set(id, { id, at, kind: data.kind, expires: "expiresInMs" in data, ...plan });
    }
  }

  #wantLook(): void {
    this.#wants = this.log.length;
    if (this.#taken === undefined) this.#due = { at: this.now, cause: "fact" };
  }

  #claim(taskId: string): Claim {
    const unclaimed: Claim = {
      attempt: 1,
      dispatch: 1,
      epoch: 0,
      claims: 0,
      state: "open",
      holder: "-",
      deadline: undefined,
    };
    return this.#claims.get(taskId) ?? unclaimed;
  }

  #closed(): Closed | undefined {
    if (this.#hasEnded && this.#defect !== "writes-after-the-end") return "ended";
    return this.#hasCancel ? "cancelled" : undefined;
  }

  #lost({ taskId, epoch, holder }: Writer): "superseded" | Closed | undefined {
    const closed = this.#closed();
    if (closed || this.#defect === "claims-are-not-fenced") return closed;
    const claim = this.#claim(taskId);
    if (claim.epoch !== epoch || claim.holder !== holder) return "superseded";
    return claim.state === "revoked" || claim.state === "open" ? "superseded" : undefined;
  }

  /** The claims as the changes leave them, or undefined when one has moved on since it was decided. */
  #changed(changes: readonly ClaimChange[]): Map<string, Claim> | undefined {
    const claims = new Map<string, Claim>();
    for (const change of changes) {
      const claim = claims.get(change.taskId) ?? this.#claim(change.taskId);
      // Left held over a retry, a claim would refuse every dispatch, and the control would show no more than that.
      const fits = (claim.state === "held") === (change.kind === "revoke") || this.#defect === "retry-leaves-claims";
      if (claim.epoch !== change.epoch || !fits) return undefined;
      if (change.kind !== "reopen") {
        claims.set(change.taskId, { ...claim, state: "revoked", holder: "-" });
      } else {
        const { attempt, dispatch } = change;
        const count = claim.attempt === attempt ? claim.claims : 0;
        claims.set(change.taskId, { ...claim, attempt, dispatch, claims: count, state: "open", holder: "-" });
      }
    }
    return claims;
  }
}
