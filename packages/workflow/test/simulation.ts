import { isDeepStrictEqual } from "node:util";
import {
  canonicalJson,
  decide,
  type Decision,
  decisionsOf,
  type Dispatch,
  fold,
  type Fork,
  forkLog,
  isolationDeaths,
  isReady,
  type Json,
  lookEveryMs,
  type Postponement,
  type Look,
  type OpenedItem,
  resolveTemplates,
  type TaskRequest,
  type TaskStage,
  type WorkflowEvent,
  type WorkflowState,
} from "@flotilla/workflow";
import { firstDeadline, startOf } from "../src/deadline.ts";
import { ModelQueue, type Treatment } from "./model-queue.ts";
import {
  type Defect,
  type LookCause,
  ModelStore,
  type OpenItem,
  type Origin,
  type Taken,
  workflowId as id,
  type Writer,
} from "./model-store.ts";
import { agents, type Behaviour, calm, type Scenario } from "./scenario.ts";

/** What is done in another way than it should be, for a negative control. */
export interface Tampering {
  defect?: Defect;
  decide?: typeof decide;
  fold?: typeof fold;
  /** Replaces the output that a worker makes. */
  output?: (usual: Json, now: number) => Json;
}

/** Everything that a property needs to know of one run. */
export interface Run {
  scenario: Scenario;
  log: readonly WorkflowEvent[];
  state: WorkflowState;
  outputs: ReadonlyMap<string, Json>;
  /** Decisions that were followed by others on the same look. */
  restless: readonly WorkflowEvent["type"][];
  /** States that were held and differ from the fold of the log. */
  drifted: number;
  /** Looks that nobody had asked for, and that found something to do. */
  saved: number;
  /** Decisions of looks that had been taken over: should that supervisor die then, nobody repeats its jobs. */
  writesAfterEnd: number;
  /** Some time has passed without an end: longer than any plan here may take. */
  isStuck: boolean;
}

const defaults = { attempts: 3, concurrency: 1000 };
const longestRunMs = 15 * 60_000;
const doubt = { step: "s", tool: "s", key: "k", argumentsBytes: 2, argumentsHash: "h" };
const approval = { step: "s", action: "a", arguments: null, argumentsHash: "h" };

/** An actor stops at each point where others may come between; it says whether it did something. */
type Actor = Generator<boolean, never>;

interface Holding {
  writer: Writer;
  /** Renews its lease; not while it stands still. */
  isAwake: boolean;
  isLost: boolean;
  isHandedBack: boolean;
}

/**
 * A fleet around one workflow: three supervisors and three workers that share a store and a queue. The choices of the
 * scenario say who goes next and what goes wrong; once they are spent everybody takes turns until the end.
 */
export function simulate(scenario: Scenario, tampering: Tampering = {}): Run {
  return new Simulation(scenario, tampering).run();
}

/** A run of the fork from one of the places of a run, which the number picks, and of how many there are. */
export function simulateFork(run: Run, pick: number, tampering: Tampering = {}): Run & { fork: Fork } {
  const { log, outputs, scenario } = run;
  const now = log.at(-1)?.at ?? 0;
  const places = log.map((_, index) => forkLog(id, "source", log, { fromSeq: index + 1 }));
  const forks = places.filter((place) => place.kind === "fork");
  const fork = forks[pick % forks.length];
  if (!fork) throw new Error("a log without a place to fork from");
  return { ...new Simulation(scenario, tampering, { fork, log, outputs, now }).run(), fork };
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #decide: typeof decide;
  readonly #fold: typeof fold;
  readonly #output: NonNullable<Tampering["output"]>;
  readonly #store: ModelStore;
  readonly #queue = new ModelQueue();
  readonly #supervisors: Actor[] = [];
  readonly #workers: Actor[] = [];
  readonly #holdings = new Map<number, Holding>();
  readonly #fetched = new Map<number, NonNullable<ReturnType<ModelQueue["fetch"]>>>();
  readonly #restless: WorkflowEvent["type"][] = [];
  #admissions = 0;
  #names = 0;
  #answers = 0;
  #choice = 0;
  #saved = 0;
  #drifted = 0;

  constructor(scenario: Scenario, tampering: Tampering, origin?: Origin) {
    this.#scenario = scenario;
    this.#decide = tampering.decide ?? decide;
    this.#fold = tampering.fold ?? fold;
    if (scenario.request.startAt === undefined) this.#admissions++;
    this.#output = tampering.output ?? ((usual) => usual);
    this.#store = new ModelStore(scenario.request, tampering.defect, origin);
    for (const place of [0, 1, 2]) {
      this.#supervisors.push(this.#supervise());
      this.#workers.push(this.#work(place));
    }
  }

  run(): Run {
    while (this.#choice < this.#scenario.choices.length) this.#disturb();
    this.#toTheEnd();
    for (let retry = 0; retry < this.#scenario.retries && this.#store.retry(); retry++) this.#toTheEnd();
    const isStuck = !this.#store.hasEnded;
    // What is still on its way arrives after the end.
    for (let turn = 0; turn < 20; turn++) this.#goOn();
    this.#store.cancel();
    const { log, outputs, writesAfterEnd } = this.#store;
    return {
      scenario: this.#scenario,
      log,
      state: fold(id, undefined, log),
      outputs,
      isStuck,
      restless: this.#restless,
      drifted: this.#drifted,
      saved: this.#saved,
      writesAfterEnd,
    };
  }

  /** A number below `count`; 0 once the choices are spent. */
  #choose(count: number): number {
    return (this.#scenario.choices[this.#choice++] ?? 0) % count;
  }

  /** Whether something goes wrong here: one time in `odds`, and never once the choices are spent. */
  #happens(odds: number): boolean {
    return this.#choose(odds) === odds - 1;
  }

  #disturb(): void {
    const { faults } = this.#scenario;
    const action = this.#choose(42);
    const place = this.#choose(3);
    if (action < 16) this.#supervisors[place]?.next();
    else if (action < 32) this.#workers[place]?.next();
    else if (action < 35) this.#advance(1 + this.#choose(500));
    else if (action === 35) this.#advance(this.#choose(70_000));
    else if (action === 36 && faults.supervisors) this.#supervisors[place] = this.#supervise();
    else if (action === 37) this.#disturbWorker(place);
    else if (action === 39 && faults.retries) this.#store.retry();
    else if (action === 38 && faults.cancel && this.#happens(4)) this.#store.cancel(this.#happens(2));
    else if (action === 40) this.#tell();
    else if (action === 41) this.#answer();
  }

  /** A person says something about one of the items; now and then two at once do. */
  #answer(items: readonly OpenItem[] = this.#store.items): void {
    const item = items[this.#choose(Math.max(1, items.length))];
    if (!item) return;
    const decisions = decisionsOf(item.kind);
    for (const _ of this.#happens(3) ? [1, 2] : [1]) {
      // Once the choices are spent they still differ, so that nobody lets the same task try again for ever.
      const decision = decisions[(this.#choose(decisions.length) + this.#answers++) % decisions.length];
      if (decision) this.#store.answer(item, decision);
    }
  }

  /** Somebody sends a signal, whether a task waits for it by now or not. */
  #tell(): void {
    if (this.#happens(4)) this.#store.signal();
  }

  #disturbWorker(place: number): void {
    const holding = this.#holdings.get(place);
    const kind = this.#scenario.faults.workers ? this.#choose(3) : 0;
    if (kind === 0 && holding) holding.isHandedBack = true;
    if (kind === 1 && holding) holding.isAwake = false;
    if (kind !== 2) return;
    const delivery = this.#fetched.get(place);
    if (delivery) this.#queue.bringBack(delivery, this.#store.now);
    this.#fetched.delete(place);
    this.#holdings.delete(place);
    this.#workers[place] = this.#work(place);
  }

  #toTheEnd(): void {
    const giveUpAt = this.#store.now + longestRunMs;
    while (!this.#store.hasEnded && this.#store.now < giveUpAt) this.#goOn();
  }

  /** Everybody goes on until nobody can, then time does. */
  #goOn(): void {
    let isBusy = true;
    for (let turn = 0; isBusy && turn < 1000; turn++) {
      isBusy = false;
      for (const actor of [...this.#supervisors, ...this.#workers]) {
        if (actor.next().value) isBusy = true;
      }
    }
    this.#answer(this.#store.items.filter(({ expires }) => !expires));
    if (this.#store.isAwaited) this.#store.signal();
    const next = Math.min(this.#store.nextWake, this.#queue.nextWake) - this.#store.now;
    this.#advance(Math.max(1, Math.min(next, 1000)));
  }

  /** Time passes in steps in which every worker that is awake renews its lease. */
  #advance(ms: number): void {
    for (let left = ms; left > 0; left -= 2000) {
      this.#store.now += Math.min(left, 2000);
      for (const holding of this.#holdings.values()) {
        if (holding.isAwake) holding.isLost ||= this.#store.renew(holding.writer) !== "renewed";
      }
    }
  }

  *#supervise(): Actor {
    let cached: { state: WorkflowState; probedAt: number } | undefined;
    const store = this.#store;
    for (;;) {
      const token = `look-${this.#names++}`;
      let taken = this.#admissions > 0 ? store.start(token) : undefined;
      if (this.#admissions > 0) this.#admissions--;
      taken ??= store.take(token);
      if (!taken) {
        yield false;
        continue;
      }
      yield true;
      const state = this.#advanceState(cached?.state, taken.lines);
      cached = { state, probedAt: cached?.probedAt ?? -Infinity };
      const look: Look = {
        now: taken.now,
        isRepeated: taken.isRepeated,
        expired: taken.expired,
        missing: [],
        agents,
        defaults,
      };
      let decision = this.#decide(state, look);
      if (decision.suspects.length > 0 && taken.now - cached.probedAt >= lookEveryMs / 2) {
        cached = { state, probedAt: taken.now };
        const missing = this.#queue.missing(decision.suspects);
        yield true;
        if (missing.length > 0) decision = this.#decide(state, { ...look, missing });
      }
      this.#examine(taken, state, decision, look);
      yield true;
      // Where an item expires a word may come in the last moment.
      if (decision.events.some(({ type }) => type === "item.expired") && store.log.length % 2 === 0) this.#answer();
      const seen = this.#commit(taken, state, decision);
      yield true;
      if (seen === undefined) {
        const again = { nextLook: taken.now, seen: state.seq, isUnsure: taken.isRepeated, quiet: 0, waves: [] };
        store.settle(token, { ...again, cause: "again" });
        continue;
      }
      for (const dispatch of decision.dispatches) {
        this.#dispatch(dispatch);
        yield true;
      }
      if (decision.admit && !this.#happens(3)) this.#admissions++;
      const nextLook = Math.min(decision.nextLook, taken.now + lookEveryMs);
      const { quiet, waves } = decision;
      store.settle(token, { nextLook, seen, isUnsure: false, quiet, waves, cause: causeOf(decision) });
      yield true;
    }
  }

  #advanceState(held: WorkflowState | undefined, lines: readonly WorkflowEvent[]): WorkflowState {
    const [first] = lines;
    const last = lines.at(-1);
    const isHeld = held && first && last && held.seq >= first.seq && held.seq <= last.seq;
    const state = isHeld
      ? this.#fold(id, held, lines.slice(held.seq + 1 - first.seq))
      : this.#fold(id, undefined, this.#store.log);
    if (!isDeepStrictEqual(state, fold(id, undefined, this.#store.log.slice(0, state.seq)))) this.#drifted++;
    return state;
  }

  #examine({ cause, now, lines }: Taken, state: WorkflowState, decision: Decision, look: Look): void {
    // The jobs that it found missing are there again.
    const again = this.#decide(decision.after, { ...look, missing: [] });
    this.#restless.push(...again.events.map(({ type }) => type));
    const isTime =
      firstDeadline(state) <= now || [...state.tasks.values()].some(({ stage }) => (timerOf(stage) ?? Infinity) <= now);
    // A fact that came after the take, and was read with the log, has asked for a look of its own.
    const isAskedFor = isTime || state.seq > (lines.at(-1)?.seq ?? 0);
    if (cause === "safety" && decision.events.length > 0 && !isAskedFor) this.#saved++;
  }

  #commit({ token, revision }: Taken, state: WorkflowState, { events, claims, after }: Decision): number | undefined {
    if (events.length === 0) return state.seq;
    const isEnd = after.endedAt !== undefined;
    const first = this.#store.commit({ token, revision, seen: state.seq }, events, claims, isEnd);
    if (typeof first !== "number") return undefined;
    // Facts that came between were not seen.
    return first === state.seq + 1 ? state.seq + events.length : state.seq;
  }

  #dispatch(dispatch: Dispatch): void {
    const treatments: Treatment[] = ["deliver", "deliver", "deliver", "delay", "double", "lose"];
    const treatment = this.#scenario.faults.jobs ? treatments[this.#choose(treatments.length)] : undefined;
    this.#queue.add(dispatch, treatment ?? "deliver", this.#store.now);
  }

  *#work(place: number): Actor {
    for (;;) {
      const delivery = this.#queue.fetch(this.#choose(100), this.#store.now);
      if (!delivery) {
        yield false;
        continue;
      }
      this.#fetched.set(place, delivery);
      yield true;
      const isAlive = yield* this.#runTask(place, delivery.job);
      this.#holdings.delete(place);
      yield true;
      if (isAlive) this.#queue.finish(delivery);
      else this.#queue.bringBack(delivery, this.#store.now);
      this.#fetched.delete(place);
    }
  }

  /** Whether the worker has lived through it. */
  *#runTask(place: number, job: Dispatch): Generator<boolean, boolean> {
    const store = this.#store;
    const holder = `holder-${this.#names++}`;
    let claim = store.claim(job, holder);
    // An answer that got lost: it is asked again.
    if (this.#happens(5)) {
      yield true;
      claim = store.claim(job, holder);
    }
    if (typeof claim === "string") return true;
    const { epoch, spec } = claim;
    const writer = { taskId: spec.id, epoch, holder };
    const holding: Holding = { writer, isAwake: true, isLost: false, isHandedBack: false };
    this.#holdings.set(place, holding);
    const { durationMs, kills, isCancelledDying, doubts, asks } = this.#behaviour(spec.id);
    const at = { taskId: spec.id, attempt: job.attempt, epoch };
    if (this.#scenario.faults.workers && epoch <= kills) {
      if (job.deaths < isolationDeaths) return false;
      const data = { deaths: job.deaths + 1, isolated: "SIGKILL" };
      store.record(writer, "died", { type: "task.crashed", ...at, data });
      // In that moment its deadline goes by, or somebody cancels.
      if (isCancelledDying && spec.deadline !== undefined) this.#advance(40_000);
      else if (this.#scenario.faults.cancel && isCancelledDying) store.cancel();
      return true;
    }
    if (this.#scenario.faults.workers && epoch <= kills + doubts) {
      if (asks === "handoff" || asks === "refused") {
        const data = { to: asks === "handoff" ? "plain" : "nobody", payload: "work", step: "s", inputHash: "h" };
        store.record(writer, "released", { type: "handoff.requested", ...at, data });
        return true;
      }
      if (asks === "signal") {
        const awaits = { signal: "go", nth: 1, step: "s", inputHash: "h" };
        store.record(writer, "released", { type: "task.released", ...at, data: { reason: "waits", awaits } });
        return true;
      }
      const data: OpenedItem = asks
        ? { kind: "approval", summary: "", detail: approval, ...asks }
        : { kind: "outcome-unknown", summary: "", detail: doubt };
      store.record(writer, "parked", { type: "item.opened", ...at, data });
      return true;
    }
    if (this.#happens(6)) store.progress(writer, { type: "task.progressed", ...at, data: { message: "at work" } });
    for (const endsAt = store.now + durationMs; store.now < endsAt && !holding.isLost && !holding.isHandedBack;)
      yield false;
    yield true;
    if (holding.isLost) return true;
    if (holding.isHandedBack) {
      const postponed: Postponement = { reason: "circuit-open", of: "model", forMs: 1000 * this.#choose(5) };
      const data = { reason: "shutdown", ...(this.#happens(2) ? { postponed } : {}) };
      store.record(writer, "released", { type: "task.released", ...at, data });
      return true;
    }
    const scheduled = this.#record(writer, job, spec);
    // An answer that got lost: it is said again, and what it has scheduled is left to a look.
    if (this.#happens(5)) {
      yield true;
      this.#record(writer, job, spec);
      return true;
    }
    for (const dispatch of scheduled) {
      yield true;
      this.#dispatch(dispatch);
    }
    return true;
  }

  #behaviour(taskId: string): Behaviour {
    return this.#scenario.behaviours.get(taskId) ?? calm;
  }

  #record(writer: Writer, { attempt }: Dispatch, spec: TaskRequest): readonly Dispatch[] {
    const { taskId, epoch } = writer;
    const { failures, failure, append: mended, draft } = this.#behaviour(taskId);
    const append = draft && attempt === failures + 1 ? draft : mended;
    const at = { taskId, attempt, epoch };
    if (attempt <= failures) {
      const error = { class: failure, code: "planned", message: "as told" };
      this.#store.record(writer, "failed", { type: "task.failed", ...at, data: { error } });
      return [];
    }
    const { outputs } = this.#store;
    const input = resolveTemplates(spec.input, { input: "question", output: (needed) => outputs.get(needed) });
    const output = this.#output(digest(canonicalJson([taskId, input])), this.#store.now);
    const data = { outputBytes: JSON.stringify(output).length, output, ...(append ? { append } : {}) };
    const scheduled = this.#store.record(writer, "completed", { type: "task.completed", ...at, data }, output);
    return typeof scheduled === "string" ? [] : scheduled;
  }
}

/** Why the next look is to be then: for a retry, for the admission, or for nothing but safety. */
function causeOf({ after, nextLook, admit }: Decision): LookCause {
  if (admit) return "admission";
  if (nextLook === firstDeadline(after) || nextLook === startOf(after)) return "timer";
  const isTimer = [...after.tasks.values()].some(
    (task) => timerOf(task.stage) === nextLook && (task.stage.kind !== "pending" || isReady(after, task)),
  );
  return isTimer ? "timer" : "safety";
}

/** When a stage is to be looked at whatever happens. */
function timerOf(stage: TaskStage): number | undefined {
  if (stage.kind === "pending") return stage.notBefore;
  if (stage.kind === "returned") return stage.postponed?.until;
  return stage.kind === "waiting" ? stage.expiresAt : undefined;
}

/** A small value that differs when the text does. */
function digest(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  return hash;
}
