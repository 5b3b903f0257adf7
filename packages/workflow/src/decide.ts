import { type EventBody, type PlanDefaults, requestedPhases, singleTask } from "./event.ts";
import { type CompensationEnd, isUndone, newlyUndone, tasksToUndo } from "./compensation.ts";
import { firstDeadline, overdueFailure, startOf, taskDeadline, workflowDeadline } from "./deadline.ts";
import type { Failure } from "./failure.ts";
import { type Dispatch, schedulingOf } from "./dispatch.ts";
import { StateDraft } from "./fold.ts";
import { isParkedOn, judgeHandoff } from "./handoff.ts";
import { lookAhead, type Wave } from "./look-ahead.ts";
import type { AgentCatalog } from "./plan.ts";
import { askAboutRequest, denialOf } from "./plan-approval.ts";
import { askAboutProposal, judgeProposal } from "./proposal.ts";
import type { Priority } from "./request.ts";
import { recoveryEvent } from "./recover.ts";
import { verdictFailure } from "./verdict.ts";
import {
  aborts,
  fatalFailure,
  isOutstanding,
  isParked,
  isReady,
  isSettled,
  type TaskState,
  type WorkflowState,
} from "./state.ts";
import type { Gift } from "./wait.ts";

/**
 * The longest that an open workflow goes without somebody looking at it, in ms. A job that waits in its queue is looked
 * for as often: one that was lost is dispatched anew within a minute, the looks on a busy machine included.
 */
export const lookEveryMs = 25_000;

/** A workflow that nobody has admitted gets its admission job again this often. */
const admitEveryMs = 5000;

/** What the outside knows at the time of a look; all times are Redis time in ms. */
export interface Look {
  now: number;
  /** Claims whose lease has run out, judged in calm only. */
  expired: readonly { taskId: string; epoch: number }[];
  /** Scheduled tasks whose job is proven gone from its queue. */
  missing: readonly string[];
  /** The look before this one was cut off: what it dispatched may never have arrived. */
  isRepeated: boolean;
  agents: AgentCatalog;
  /** How long one try of what was handed over may take, in ms; 5 minutes unless given. */
  handoffTimeoutMs?: number;
  /** Tries of a task, tasks at once and what is done about failures, where the request does not say. */
  defaults: PlanDefaults;
}

/** A change to a claim, valid only while that claim still has the epoch it was decided on. */
export type ClaimChange =
  /** From now on nothing that the holder writes is taken. */
  | { kind: "revoke"; taskId: string; epoch: number }
  /** What waits in a queue may not be claimed any more. */
  | { kind: "close"; taskId: string; epoch: number }
  /** Another attempt or dispatch may be claimed, and no older one. */
  | { kind: "reopen"; taskId: string; epoch: number; attempt: number; dispatch: number };

export interface Decision {
  events: readonly EventBody[];
  claims: readonly ClaimChange[];
  dispatches: readonly Dispatch[];
  /** What is put into the journals of tasks with their dispatch. */
  gifts: readonly { taskId: string; gift: Gift }[];
  /** Tasks that were scheduled so long ago that their job should be looked for. */
  suspects: readonly Dispatch[];
  /** Whether the workflow waits to be admitted: its admission job is to be there. */
  admit: boolean;
  nextLook: number;
  /** How many tasks may complete before there is anything to do; see `lookAhead`. */
  quiet: number;
  /** What the completions after those schedule without a look. */
  waves: readonly Wave[];
  /** The state once `events` stand in the log. */
  after: WorkflowState;
}

/**
 * What is to be done now. Pure and level-triggered: it asks what should be true of this state, not what just
 * happened, so looking twice, late or for no reason is harmless. A decision stays valid when facts it has not seen
 * stand between it and the state: it schedules only what is ready, readiness never goes away, and each claim it
 * changes is named with its epoch.
 */
export function decide(state: WorkflowState, look: Look): Decision {
  const decider = new Decider(state, look);
  decider.run();
  return decider.decision();
}

class Decider {
  readonly #draft: StateDraft;
  readonly #look: Look;
  readonly #events: EventBody[] = [];
  readonly #claims: ClaimChange[] = [];
  readonly #dispatches: Dispatch[] = [];
  readonly #gifts: { taskId: string; gift: Gift }[] = [];
  readonly #suspects: Dispatch[] = [];
  #nextLook: number;
  #admit = false;

  constructor(state: WorkflowState, look: Look) {
    this.#draft = new StateDraft(state);
    this.#look = look;
    this.#nextLook = look.now + lookEveryMs;
  }

  get #state(): WorkflowState {
    return this.#draft.state();
  }

  decision(): Decision {
    return {
      events: this.#events,
      claims: this.#claims,
      dispatches: this.#dispatches,
      gifts: this.#gifts,
      suspects: this.#suspects,
      admit: this.#admit,
      nextLook: this.#nextLook,
      ...lookAhead(this.#state),
      after: this.#state,
    };
  }

  run(): void {
    if (this.#state.endedAt !== undefined) return;
    if (this.#state.compensation) return this.#compensate(this.#state.compensation);
    if (this.#state.cancel) return this.#cancel(this.#state.cancel);
    const deadline = workflowDeadline(this.#state);
    if (deadline !== undefined && deadline <= this.#look.now) return this.#abort(overdueFailure("workflow", deadline));
    if (this.#state.status === "queued") return this.#waitForAdmission();
    if (this.#state.planGate?.kind === "denied") return this.#abort(denialOf(this.#state.planGate.reason));
    if (!this.#state.isPlanned && !this.#plan()) return;
    this.#judgeExpired();
    this.#failOverdue();
    this.#expire();
    this.#carryOutVerdicts();
    this.#judgeProposals();
    // Phases that have just been appended may name deadlines that are over.
    this.#failOverdue();
    this.#judgeHandoffs();
    const failed = this.#fatalTask();
    if (failed) return this.#fail(failed.task, failed.error);
    if (this.#state.phases.every((phase) => phase.open === 0))
      return this.#emit({ type: "workflow.completed", data: {} });
    this.#goOn();
    this.#nextLook = Math.min(this.#nextLook, firstDeadline(this.#state));
  }

  #goOn(): void {
    // Nobody is asked about what this very decision ends: an item that it opens is not there yet to expire.
    this.#quarantine();
    this.#askAboutProposals();
    if (this.#state.status === "waiting" && !isParked(this.#state)) this.#emit({ type: "workflow.resumed", data: {} });
    this.#recover();
    this.#repair();
    this.#schedule();
    if (this.#state.status !== "waiting" && isParked(this.#state)) this.#emit({ type: "workflow.waiting", data: {} });
  }

  #emit(event: EventBody): void {
    this.#events.push(event);
    this.#draft.apply({ ...event, seq: this.#state.seq + 1, at: this.#look.now });
  }

  #waitForAdmission(): void {
    const startAt = startOf(this.#state);
    this.#admit = startAt <= this.#look.now;
    const again = this.#admit ? this.#look.now + admitEveryMs : Math.min(startAt, this.#nextLook);
    this.#nextLook = Math.min(again, firstDeadline(this.#state));
  }

  #abort(error: Failure): void {
    this.#endBy({ status: "aborted", error }, true);
  }

  #failOverdue(): void {
    for (const task of this.#state.tasks.values()) {
      const { id: taskId, attempt } = task;
      const deadline = taskDeadline(this.#state, task);
      if (deadline === undefined || deadline > this.#look.now) continue;
      this.#takeAway(task);
      this.#emit({ type: "task.failed", taskId, attempt, data: { error: overdueFailure("task", deadline) } });
    }
  }

  /** Whoever has a task, will find it in a queue, or is asked about it, has no more to do with it. */
  #takeAway({ id: taskId, attempt, epoch, stage }: TaskState): void {
    if (stage.kind === "running") this.#claims.push({ kind: "revoke", taskId, epoch });
    if (stage.kind === "scheduled") this.#claims.push({ kind: "close", taskId, epoch });
    if (stage.kind !== "waiting" || stage.verdict !== undefined) return;
    this.#emit({ type: "item.expired", taskId, attempt, data: { item: stage.item } });
  }

  #cancel({ reason, compensate }: NonNullable<WorkflowState["cancel"]>): void {
    this.#endBy({ status: "cancelled", ...(reason === undefined ? {} : { reason }) }, compensate === true);
  }

  /** Ends the workflow, or first has undone what it did; whatever is open is cancelled. */
  #endBy(end: CompensationEnd, isToBeUndone: boolean): void {
    if (isToBeUndone) this.#closeProposals();
    const tasks = isToBeUndone ? tasksToUndo(this.#state) : [];
    for (const task of this.#state.tasks.values()) {
      if (isSettled(task.stage)) continue;
      // The end closes all claims and items by itself.
      if (tasks.length > 0) this.#takeAway(task);
      this.#emit({ type: "task.cancelled", taskId: task.id, attempt: task.attempt, data: {} });
    }
    if (tasks.length === 0) return this.#emitEnd(end);
    this.#emit({ type: "workflow.compensating", data: { end, tasks } });
    this.#judgeHandoffs();
    this.#goOn();
  }

  /** What has been done with phases to append is to be undone too, though nothing will come of these. */
  #closeProposals(): void {
    const { defaults } = this.#look;
    for (const task of this.#state.tasks.values()) {
      const { stage, compensate, id: by } = task;
      const isDone = stage.kind === "proposing" || (stage.kind === "waiting" && stage.proposal !== undefined);
      if (!isDone || !compensate) continue;
      this.#takeAway(task);
      this.#emit({ type: "workflow.planned", data: { by, phases: [], defaults } });
    }
  }

  #emitEnd(end: CompensationEnd): void {
    switch (end.status) {
      case "cancelled":
        return this.#emit({ type: "workflow.cancelled", data: end.reason === undefined ? {} : { reason: end.reason } });
      case "failed":
        return this.#emit({ type: "workflow.failed", data: { error: end.error } });
      case "aborted":
        return this.#emit({ type: "workflow.aborted", data: { error: end.error } });
    }
  }

  /** Only what undoes is open now; whatever becomes of it, the workflow ends as was decided when it began. */
  #compensate(end: CompensationEnd): void {
    this.#judgeExpired();
    this.#expire();
    this.#carryOutVerdicts();
    this.#judgeProposals();
    this.#judgeHandoffs();
    for (const { id: taskId, attempt } of newlyUndone(this.#state)) {
      this.#emit({ type: "task.compensated", taskId, attempt, data: {} });
    }
    if (isUndone(this.#state)) return this.#emitEnd(end);
    this.#goOn();
  }

  /** Whether there is a plan now; not while a person is asked about that of the request. */
  #plan(): boolean {
    const { defaults } = this.#look;
    const { request, planGate: gate } = this.#state;
    if (!requestedPhases(request)) {
      const phases = [singleTask("planner", "planning")];
      this.#emit({ type: "workflow.planned", data: { by: "router", phases, defaults } });
      return true;
    }
    if (request.approvePlan && gate?.kind !== "approved") return this.#askAboutRequest();
    if (this.#state.status === "waiting") this.#emit({ type: "workflow.resumed", data: {} });
    const edited = gate?.kind === "approved" && gate.phases ? { phases: [...gate.phases] } : {};
    this.#emit({ type: "workflow.planned", data: { by: "request", ...edited, defaults } });
    return true;
  }

  #askAboutRequest(): false {
    if (!this.#state.planGate) this.#emit(askAboutRequest(this.#state));
    if (this.#state.status !== "waiting") this.#emit({ type: "workflow.waiting", data: {} });
    this.#nextLook = Math.min(this.#nextLook, firstDeadline(this.#state));
    return false;
  }

  #judgeExpired(): void {
    for (const { taskId, epoch } of this.#look.expired) {
      const task = this.#state.tasks.get(taskId);
      if (task?.stage.kind !== "running" || task.epoch !== epoch) continue;
      const at = { taskId, attempt: task.attempt, epoch };
      this.#claims.push({ kind: "revoke", taskId, epoch });
      if (task.timeoutMs !== undefined && this.#look.now >= task.stage.since + task.timeoutMs) {
        this.#emit({ type: "task.timed_out", ...at, data: { timeoutMs: task.timeoutMs } });
        continue;
      }
      this.#emit({ type: "task.crashed", ...at, data: { deaths: task.deaths + 1 } });
    }
  }

  /** Only a death in a process of its own condemns a task: under any other the neighbours died too, and may be to blame. */
  #quarantine(): void {
    for (const { id: taskId, attempt, deaths, stage } of this.#state.tasks.values()) {
      if (stage.kind !== "condemned") continue;
      const detail = { deaths, reason: stage.reason };
      const summary = `task ${taskId} ended the process that it had to itself: ${stage.reason}`;
      this.#emit({ type: "task.quarantined", taskId, attempt, data: detail });
      this.#emit({ type: "item.opened", taskId, attempt, data: { kind: "quarantine", summary, detail } });
    }
  }

  #expire(): void {
    for (const { id: taskId, attempt, stage } of this.#state.tasks.values()) {
      if (stage.kind !== "waiting" || stage.verdict !== undefined || stage.expiresAt === undefined) continue;
      if (stage.expiresAt > this.#look.now) this.#nextLook = Math.min(this.#nextLook, stage.expiresAt);
      else this.#emit({ type: "item.expired", taskId, attempt, data: { item: stage.item } });
    }
  }

  #carryOutVerdicts(): void {
    for (const { id: taskId, attempt, deaths, stage } of this.#state.tasks.values()) {
      if (stage.kind !== "waiting" || stage.verdict === undefined) continue;
      this.#emit({
        type: "task.failed",
        taskId,
        attempt,
        data: { error: verdictFailure(stage.about, deaths, stage.verdict) },
      });
    }
  }

  #judgeProposals(): void {
    for (const task of this.#state.tasks.values()) {
      const event = judgeProposal(this.#state, task, this.#look);
      // A person has let it pass, and the workflow goes on.
      if (event?.type === "workflow.planned" && this.#state.status === "waiting") {
        this.#emit({ type: "workflow.resumed", data: {} });
      }
      if (event) this.#emit(event);
    }
  }

  #askAboutProposals(): void {
    for (const task of this.#state.tasks.values()) {
      const question = askAboutProposal(task);
      if (question) this.#emit(question);
    }
  }

  #judgeHandoffs(): void {
    const { agents, handoffTimeoutMs = 300_000 } = this.#look;
    for (const handoff of this.#state.handoffs.values()) {
      if (handoff.status === "accepted" && !isParkedOn(this.#state.tasks.get(handoff.from), handoff.id)) {
        this.#callOff(handoff.task);
      }
      for (const event of judgeHandoff(this.#state, handoff, agents, handoffTimeoutMs)) this.#emit(event);
    }
  }

  /** Cancels the task of a handoff that nobody waits for any more. */
  #callOff(taskId: string | undefined): void {
    const task = this.#state.tasks.get(taskId ?? "");
    if (!task || isSettled(task.stage)) return;
    this.#takeAway(task);
    this.#emit({ type: "task.cancelled", taskId: task.id, attempt: task.attempt, data: {} });
  }

  /** The first task, in the order of the plan, whose failure ends the workflow; one that aborts it goes before all. */
  #fatalTask(): { task: TaskState; error: Failure } | undefined {
    let fatal: { task: TaskState; error: Failure } | undefined;
    for (const task of this.#state.tasks.values()) {
      const error = fatalFailure(task);
      if (error && aborts(task.stage)) return { task, error };
      if (error) fatal ??= { task, error };
    }
    return fatal;
  }

  #fail(task: TaskState, error: Failure): void {
    const status = aborts(task.stage) ? "aborted" : "failed";
    const isToBeUndone = status === "aborted" || task.onFailure === "compensate";
    this.#endBy({ status, error: { ...error, taskId: task.id } }, isToBeUndone);
  }

  #recover(): void {
    for (const task of this.#state.tasks.values()) {
      const next = recoveryEvent(this.#state.id, task, this.#look.now);
      if (next) this.#emit(next);
    }
  }

  #repair(): void {
    for (const taskId of this.#look.missing) {
      const task = this.#state.tasks.get(taskId);
      if (task?.stage.kind !== "scheduled") continue;
      const { attempt, dispatch } = task;
      this.#emit({ type: "repair.applied", taskId, attempt, data: { kind: "job-missing", dispatch } });
      this.#dispatch([task]);
    }
  }

  #schedule(): void {
    const { now, isRepeated } = this.#look;
    const ready: TaskState[] = [];
    let outstanding = 0;
    const inPhase = new Map<number, number>();
    for (const task of this.#state.tasks.values()) {
      const { stage } = task;
      if (isOutstanding(stage)) {
        outstanding++;
        inPhase.set(task.phase, (inPhase.get(task.phase) ?? 0) + 1);
        const isOurs = this.#dispatches.some(({ taskId }) => taskId === task.id);
        if (stage.kind === "scheduled" && !isOurs) this.#watch(task, stage.since, isRepeated);
      } else if (stage.kind === "returned") {
        if (stage.postponed && stage.postponed.until > now) {
          this.#nextLook = Math.min(this.#nextLook, stage.postponed.until);
          continue;
        }
        // What undoes stops being ready where a person has retried the one before it.
        if (task.undoes === undefined || isReady(this.#state, task)) ready.push(task);
      } else if (stage.kind === "pending" && isReady(this.#state, task)) {
        if (stage.notBefore === undefined || stage.notBefore <= now) ready.push(task);
        else this.#nextLook = Math.min(this.#nextLook, stage.notBefore);
      }
    }
    const chosen: TaskState[] = [];
    for (const task of ready.toSorted(byPriority)) {
      if (outstanding >= this.#state.concurrency) break;
      const limit = this.#state.phases[task.phase]?.request.concurrency;
      const running = inPhase.get(task.phase) ?? 0;
      if (limit !== undefined && running >= limit) continue;
      chosen.push(task);
      outstanding++;
      inPhase.set(task.phase, running + 1);
    }
    this.#dispatch(chosen);
  }

  /** Repeats a dispatch that may be lost, and names a job that has waited long enough to be looked for. */
  #watch(task: TaskState, since: number, isRepeated: boolean): void {
    const { id: taskId, agent, attempt, dispatch, priority, deaths } = task;
    const again = { taskId, agent, attempt, dispatch, priority, deaths };
    const isOverdue = since + lookEveryMs <= this.#look.now;
    if (isRepeated) this.#dispatches.push(again);
    else if (isOverdue) this.#suspects.push(again);
    this.#nextLook = Math.min(this.#nextLook, (isOverdue ? this.#look.now : since) + lookEveryMs);
  }

  #dispatch(tasks: readonly TaskState[]): void {
    if (tasks.length === 0) return;
    const dispatches = tasks.map(({ id, agent, attempt, dispatch, priority, deaths }) => ({
      taskId: id,
      agent,
      attempt,
      dispatch: dispatch + 1,
      priority,
      deaths,
    }));
    for (const { id: taskId, stage } of tasks) {
      if (stage.kind === "returned" && stage.gift) this.#gifts.push({ taskId, gift: stage.gift });
    }
    this.#emit(schedulingOf(dispatches));
    this.#dispatches.push(...dispatches);
    for (const { id: taskId, attempt, dispatch: last, epoch } of tasks) {
      const dispatch = last + 1;
      // The first attempt of a task that nobody has claimed is open without a word.
      if (attempt > 1 || dispatch > 1) this.#claims.push({ kind: "reopen", taskId, epoch, attempt, dispatch });
    }
  }
}

const rank: Record<Priority, number> = { critical: 1, high: 2, normal: 3, low: 4 };

/** The priority of a job, 1 (first) to 4; never 0, which BullMQ would run before all others. */
export function jobPriority(priority: Priority): number {
  return rank[priority];
}

function byPriority(a: TaskState, b: TaskState): number {
  return rank[a.priority] - rank[b.priority];
}
