import { undoTasks } from "./compensation.ts";
import { addedPhases, type EventOf, type PlanDefaults, requestedPhases, type WorkflowEvent } from "./event.ts";
import type { Failure } from "./failure.ts";
import { itemIdOf } from "./item.ts";
import { againAfter, isOpen, waitingFor } from "./item-stage.ts";
import { plannedTasks } from "./planned-tasks.ts";
import { recoveryOf } from "./recovery.ts";
import { gateAfter, isAsked, type PlanGate } from "./plan-approval.ts";
import type { Revision } from "./revision.ts";
import type { PhaseRequest } from "./request.ts";
import {
  fatalFailure,
  isSettled,
  type ItemVerdict,
  type PhaseState,
  type Proposal,
  type TaskStage,
  type TaskState,
  type WorkflowState,
} from "./state.ts";
import type { WorkflowStatus } from "./view.ts";
import { handoffGift, type HandoffState, isParkedOn, mayRelease, targetTask } from "./handoff.ts";
import { giftOf, releasedStage } from "./signals.ts";

/**
 * The state after `events`, which follow `state` in the log (undefined before the first). Pure: the same log gives
 * the same state, however it is cut into calls. An event that no longer applies changes nothing but `seq`.
 */
export function fold(id: string, state: WorkflowState | undefined, events: readonly WorkflowEvent[]): WorkflowState {
  const [first] = events;
  const base = state ?? (first?.type === "workflow.submitted" ? submitted(id, first) : undefined);
  if (!base) throw new Error(`the log of ${id} does not begin with workflow.submitted`);
  const draft = new StateDraft(base);
  for (const event of events) draft.apply(event);
  return draft.state();
}

function submitted(id: string, event: WorkflowEvent & EventOf<"workflow.submitted">): WorkflowState {
  // The lines that a fork shares with its source are older than it is.
  const createdAt = event.data.forkedFrom?.at ?? event.at;
  return {
    id,
    tenant: event.data.tenant,
    request: event.data.request,
    traceparent: event.data.traceparent,
    status: "queued",
    phases: [],
    tasks: new Map(),
    concurrency: 1,
    isPlanned: false,
    planGate: undefined,
    signals: new Map(),
    shared: new Map(),
    handoffs: new Map(),
    recovery: {},
    cancel: undefined,
    compensation: undefined,
    defaultAttempts: 1,
    error: undefined,
    deadlinesFrom: event.data.forkedFrom?.at ?? 0,
    seq: 0,
    createdAt,
    updatedAt: createdAt,
    endedAt: undefined,
  };
}

/** Whether the plan is not there yet: all that stands is the planner's own task. */
function isPlanning({ request, phases }: WorkflowState): boolean {
  return requestedPhases(request) === undefined && phases.length <= 1;
}

function statusAtWork(state: WorkflowState): WorkflowStatus {
  if (state.compensation) return "compensating";
  return isPlanning(state) ? "planning" : "running";
}

/** A copy that events are applied to. Tasks are replaced and never changed, so the state it came from stays as it was. */
export class StateDraft {
  #state: WorkflowState;
  readonly #tasks: Map<string, TaskState>;
  readonly #phases: PhaseState[];

  constructor(state: WorkflowState) {
    this.#tasks = new Map(state.tasks);
    this.#phases = [...state.phases];
    this.#state = { ...state, tasks: this.#tasks, phases: this.#phases };
  }

  /** The state so far; it goes on changing with the draft. */
  state(): WorkflowState {
    return this.#state;
  }

  apply(event: WorkflowEvent): void {
    if (event.seq !== this.#state.seq + 1) {
      throw new Error(`event ${event.seq} does not follow ${this.#state.seq} in the log of ${this.#state.id}`);
    }
    const { createdAt, endedAt } = this.#state;
    this.#state = { ...this.#state, seq: event.seq, updatedAt: Math.max(event.at, createdAt) };
    if (endedAt === undefined || event.type === "retry.requested") this.#transition(event);
  }

  #transition(event: WorkflowEvent): void {
    switch (event.type) {
      case "workflow.submitted":
        // Known, if not planned yet: whoever asks sees the tasks from the start. Planning gives them their defaults.
        return this.#addPhases(requestedPhases(event.data.request) ?? [], { attempts: 1, concurrency: 1 }, event.at);
      case "workflow.started":
        return this.#set({ status: requestedPhases(this.#state.request) === undefined ? "planning" : "running" });
      case "workflow.planned":
        return this.#plan(event);
      case "workflow.completed":
        return this.#end("completed", event.at);
      case "workflow.failed":
        this.#set({ error: event.data.error });
        return this.#end("failed", event.at);
      case "workflow.aborted":
        this.#set({ error: event.data.error });
        return this.#end("aborted", event.at);
      case "workflow.cancelled":
        return this.#end("cancelled", event.at);
      case "cancel.requested":
        return this.#set({ cancel: event.data });
      case "workflow.compensating":
        return this.#compensating(event);
      case "task.compensated":
        return this.#compensated(event);
      case "retry.requested":
        return this.#reopen(event.at);
      case "tasks.scheduled":
        for (const { taskId, attempt, dispatch } of event.data.tasks) {
          this.#schedule(taskId, attempt, dispatch, event.at);
        }
        return;
      case "task.scheduled":
        return this.#schedule(event.taskId, event.attempt, event.data.dispatch, event.at);
      case "task.started":
        return this.#started(event);
      case "workflow.waiting":
        return this.#set({ status: "waiting" });
      case "workflow.resumed":
        return this.#set({ status: statusAtWork(this.#state) });
      case "task.progressed":
      case "task.quarantined":
        return;
      case "state.changed": {
        const { name, value } = event.data;
        return this.#set({ shared: new Map(this.#state.shared).set(name, { value, version: event.seq }) });
      }
      case "repair.applied":
        return this.#repaired(event);
      case "item.opened":
        return this.#asked(event);
      case "item.settled":
        return this.#settled(event);
      case "item.expired":
        return this.#expired(event);
      case "task.completed":
        return this.#completed(event);
      case "task.failed":
        return this.#failed(event.taskId, event.data.error, event.at, event.data.revision);
      case "task.timed_out":
        return this.#failed(
          event.taskId,
          { class: "transient", code: "timeout", message: `ran longer than ${event.data.timeoutMs} ms` },
          event.at,
        );
      case "task.retrying":
        return this.#retrying(event);
      case "task.released":
        return this.#stage(event.taskId, releasedStage(this.#state, event));
      case "signal.received":
        return this.#signalled(event);
      case "handoff.requested":
        return this.#handOver(event);
      case "handoff.accepted":
        return this.#acceptHandoff(event);
      case "handoff.completed":
        return this.#endHandoff(event.data.handoff, "completed", event.at);
      case "handoff.failed":
        return this.#endHandoff(event.data.handoff, "failed", event.at, event.data.error);
      case "handoff.rolled_back":
        return this.#rollBackHandoff(event.data.handoff, event.at);
      case "task.crashed":
        return this.#crashed(event);
      case "task.cancelled":
        return this.#stage(event.taskId, { kind: "cancelled", at: event.at });
    }
  }

  #set(change: Partial<WorkflowState>): void {
    this.#state = { ...this.#state, ...change };
  }

  #end(status: WorkflowStatus, at: number): void {
    this.#set({ status, endedAt: at });
  }

  #compensating({ at, data }: WorkflowEvent & EventOf<"workflow.compensating">): void {
    for (const undo of undoTasks(this.#state, data.tasks, at)) {
      this.#tasks.set(undo.id, undo);
      const phase = this.#phases[undo.phase];
      if (phase) this.#phases[undo.phase] = { ...phase, open: phase.open + 1 };
    }
    this.#set({ status: "compensating", compensation: data.end });
  }

  #compensated({ taskId, at }: WorkflowEvent & EventOf<"task.compensated">): void {
    const task = this.#tasks.get(taskId);
    if (task?.stage.kind === "completed") this.#tasks.set(taskId, { ...task, stage: { kind: "compensated", at } });
  }

  #stage(taskId: string, stage: TaskStage, change: Partial<TaskState> = {}): void {
    const task = this.#tasks.get(taskId);
    if (!task || isSettled(task.stage)) return;
    this.#tasks.set(taskId, { ...task, ...change, stage });
    const phase = this.#phases[task.phase];
    if (phase && isSettled(stage)) this.#phases[task.phase] = { ...phase, open: phase.open - 1 };
  }

  /**
   * What ended the workflow, and what it took along, is to be done again. What is completed stays, and so does a
   * failure under `continue`: it is a result, which others may have been given as null.
   */
  #reopen(at: number): void {
    const { endedAt, status, request } = this.#state;
    if (endedAt !== undefined && status !== "failed" && status !== "aborted") return;
    this.#set({ planGate: undefined });
    for (const task of this.#tasks.values()) {
      // Who handed over does it again, and hands over anew.
      if (!task.origin && (task.stage.kind === "cancelled" || fatalFailure(task))) this.#reopenTask(task, at);
    }
    if (endedAt === undefined) return;
    const hasPlan = requestedPhases(request) !== undefined || this.#phases.length > 1;
    const goesOn = hasPlan ? "running" : "planning";
    this.#set({ status: goesOn, error: undefined, endedAt: undefined, deadlinesFrom: at });
  }

  /** The budget begins anew with the next try. One that nobody has begun is still that try, of which older jobs may lie about. */
  #reopenTask(task: TaskState, at: number): void {
    const isBegun = task.epoch > 0 && task.dispatch > 0;
    const attempt = isBegun ? task.attempt + 1 : task.attempt;
    // Never the first dispatch: the claims of all open tasks are closed, so that each dispatch has to open its own.
    const dispatch = isBegun ? 0 : Math.max(task.dispatch, 1);
    const stage: TaskStage = { kind: "pending", since: at };
    this.#tasks.set(task.id, { ...task, stage, attempt, firstAttempt: attempt, dispatch, deaths: 0 });
    const phase = this.#phases[task.phase];
    if (phase) this.#phases[task.phase] = { ...phase, open: phase.open + 1 };
  }

  #schedule(taskId: string, attempt: number, dispatch: number, at: number): void {
    this.#stage(taskId, { kind: "scheduled", since: at }, { attempt, dispatch });
  }

  #started(event: WorkflowEvent & EventOf<"task.started">): void {
    const task = this.#tasks.get(event.taskId);
    const epoch = event.epoch ?? 0;
    // A claim that a decision made on an older prefix has superseded meanwhile: its epoch is known, its stage is not.
    if (!task || epoch <= task.epoch) return;
    const isCurrent = task.stage.kind === "scheduled" && event.attempt === task.attempt;
    this.#stage(event.taskId, isCurrent ? { kind: "running", since: event.at } : task.stage, {
      epoch,
      startedAt: event.at,
    });
  }

  /** After a rebuild no claim that was made before it may have a later epoch. */
  #repaired({ taskId, epoch, data }: WorkflowEvent & EventOf<"repair.applied">): void {
    const task = this.#tasks.get(taskId);
    if (task && data.kind === "rebuilt" && epoch !== undefined) this.#stage(taskId, task.stage, { epoch });
  }

  #signalled({ seq, at, data: { name } }: WorkflowEvent & EventOf<"signal.received">): void {
    const signals = new Map(this.#state.signals);
    signals.set(name, [...(signals.get(name) ?? []), seq]);
    this.#set({ signals });
    for (const { id, stage } of this.#tasks.values()) {
      const gift = stage.kind === "parked" && "signal" in stage.awaits && giftOf(this.#state, stage.awaits);
      if (gift) this.#stage(id, { kind: "returned", since: at, gift });
    }
  }

  #handOver(event: WorkflowEvent & EventOf<"handoff.requested">): void {
    const { seq: id, at, taskId: from, data } = event;
    if (!mayRelease(this.#tasks.get(from), event)) return;
    this.#setHandoff({
      id,
      from,
      ...data,
      status: "requested",
      task: undefined,
      error: undefined,
      requestedAt: at,
      endedAt: undefined,
    });
    this.#stage(from, { kind: "parked", since: at, awaits: { handoff: id } });
  }

  #acceptHandoff({ at, data }: WorkflowEvent & EventOf<"handoff.accepted">): void {
    const handoff = this.#state.handoffs.get(data.handoff);
    const source = this.#tasks.get(handoff?.from ?? "");
    if (handoff?.status !== "requested" || !source || this.#tasks.has(data.task)) return;
    if (!isParkedOn(source, handoff.id)) return;
    this.#setHandoff({ ...handoff, status: "accepted", task: data.task });
    this.#tasks.set(data.task, targetTask(source, handoff, data, at));
    const phase = this.#phases[source.phase];
    if (phase) this.#phases[source.phase] = { ...phase, open: phase.open + 1 };
  }

  /** One that has been accepted completes only when its task has; nothing ends one twice. */
  #endHandoff(id: number, status: "completed" | "failed", at: number, error?: Failure): void {
    const handoff = this.#state.handoffs.get(id);
    const isOpen = handoff?.status === "requested" || handoff?.status === "accepted";
    if (!handoff || !isOpen) return;
    if (status === "failed") return this.#setHandoff({ ...handoff, status, error, endedAt: at });
    if (this.#tasks.get(handoff.task ?? "")?.stage.kind !== "completed") return;
    this.#setHandoff({ ...handoff, status, endedAt: at });
    this.#return(handoff, at);
  }

  #rollBackHandoff(id: number, at: number): void {
    const handoff = this.#state.handoffs.get(id);
    if (handoff?.status !== "failed") return;
    this.#setHandoff({ ...handoff, status: "rolled_back", endedAt: at });
    this.#return(handoff, at);
  }

  /** Gives control back to the task that handed over. */
  #return(handoff: HandoffState, at: number): void {
    const gift = handoffGift(handoff);
    if (gift && isParkedOn(this.#tasks.get(handoff.from), handoff.id)) {
      this.#stage(handoff.from, { kind: "returned", since: at, gift });
    }
  }

  #setHandoff(handoff: HandoffState): void {
    this.#set({ handoffs: new Map(this.#state.handoffs).set(handoff.id, handoff) });
  }

  #crashed({ taskId, at, data }: WorkflowEvent & EventOf<"task.crashed">): void {
    const { deaths, isolated } = data;
    const stage: TaskStage =
      isolated === undefined ? { kind: "returned", since: at } : { kind: "condemned", since: at, reason: isolated };
    this.#stage(taskId, stage, { deaths });
  }

  #retrying({ taskId, at, attempt, data }: WorkflowEvent & EventOf<"task.retrying">): void {
    const { notBefore, agent, revision } = data;
    const change = { attempt, dispatch: 0 };
    // Phases that were refused spend no attempt: the work itself has not failed.
    const anew = revision === undefined ? {} : { revision, firstAttempt: attempt };
    // The fallback takes over once, with attempts of its own, and is not blamed for who died before, nor for its phases.
    const own = { fallback: undefined, firstAttempt: attempt, deaths: 0, revision: undefined };
    const takeOver = agent === undefined ? anew : { agent, ...own };
    this.#stage(taskId, { kind: "pending", since: at, notBefore }, { ...change, ...takeOver });
  }

  #asked(event: WorkflowEvent & EventOf<"item.opened">): void {
    const { seq, at, taskId } = event;
    const item = itemIdOf(this.#state.id, seq);
    if (taskId === undefined) return this.#set({ planGate: { kind: "asked", item, since: at } });
    this.#stage(taskId, waitingFor(item, event, this.#tasks.get(taskId)?.stage));
  }

  #expired({ taskId, at, data: { item } }: WorkflowEvent & EventOf<"item.expired">): void {
    if (taskId === undefined) return this.#set({ planGate: undefined });
    const stage = this.#tasks.get(taskId)?.stage;
    // What is planned is still to be asked about: nobody has said anything against it.
    if (stage && isOpen(stage, item) && stage.proposal) {
      return this.#stage(taskId, { kind: "proposing", since: at, ...stage.proposal });
    }
    this.#judged(taskId, item, { kind: "expired" });
  }

  #settled({ taskId, at, data }: WorkflowEvent & EventOf<"item.settled">): void {
    if (taskId === undefined) {
      if (isAsked(this.#state.planGate, data.item)) this.#set({ planGate: gateAfter(data) });
      return;
    }
    const task = this.#tasks.get(taskId);
    if (!task || !isOpen(task.stage, data.item)) return;
    if (task.stage.proposal) return this.#settledPlan(taskId, task.stage.proposal, gateAfter(data), at);
    switch (data.decision) {
      case "approve":
      case "edit":
      case "happened":
      case "not-happened":
        return this.#stage(taskId, { kind: "returned", since: at });
      case "retry":
        return this.#stage(taskId, { kind: "pending", since: at }, againAfter(task, task.stage.about));
      case "deny":
      case "fail":
        return this.#judged(taskId, data.item, { kind: "given-up", reason: data.reason ?? "" });
      case "skip":
      case "ignore":
      case "abort":
        return this.#ended(task, at, data.decision);
    }
  }

  /** A plan that is denied ends the workflow, and the next look says so. */
  #settledPlan(taskId: string, { output, append }: Proposal, word: PlanGate, since: number): void {
    if (word.kind !== "approved") {
      this.#set({ planGate: word });
      return this.#stage(taskId, { kind: "proposing", since, output, append });
    }
    const phases = word.phases ? [...word.phases] : append;
    this.#stage(taskId, { kind: "proposing", since, output, append: phases, isApproved: true });
  }

  #judged(taskId: string, item: string, verdict: ItemVerdict): void {
    const stage = this.#tasks.get(taskId)?.stage;
    if (stage && isOpen(stage, item)) this.#stage(taskId, { ...stage, verdict });
  }

  #completed(event: WorkflowEvent & EventOf<"task.completed">): void {
    const { outputBytes: bytes, output: inline, artifacts = [], append } = event.data;
    const output = inline === undefined ? { bytes, artifacts } : { bytes, inline, artifacts };
    const task = this.#tasks.get(event.taskId);
    if (task?.stage.kind === "proposing") return;
    this.#stage(
      event.taskId,
      append ? { kind: "proposing", since: event.at, output, append } : { kind: "completed", at: event.at, output },
      { doneSeq: event.seq },
    );
  }

  #failed(taskId: string, error: Failure, at: number, revision?: Revision): void {
    const task = this.#tasks.get(taskId);
    if (!task) return;
    const told = revision === undefined ? {} : { revision };
    // What a person has given up is not tried again.
    const next = task.stage.kind === "waiting" ? "fail" : recoveryOf(task, error, this.#state.recovery);
    switch (next) {
      case "retry":
        return this.#stage(taskId, { kind: "failing", since: at, error }, told);
      case "fallback":
      case "escalate":
        return this.#stage(taskId, { kind: "failing", since: at, error, next }, told);
      case "fail":
        return this.#stage(taskId, { kind: "failed", at, error }, told);
      case "abort":
        // Whoever handed it over is told, and ends the workflow or does not.
        return this.#stage(taskId, { kind: "failed", at, error, ...(task.origin ? {} : { ends: "workflow" }) }, told);
    }
  }

  /** The word of a person that a task which has failed ends for good, and what that means for the workflow. */
  #ended({ id, stage }: TaskState, at: number, decision: "skip" | "ignore" | "abort"): void {
    if (stage.kind !== "waiting" || !stage.error) return;
    const ends = decision === "abort" ? "workflow" : "nothing";
    this.#stage(id, { kind: "failed", at, error: stage.error, ends });
  }

  #plan(event: WorkflowEvent & EventOf<"workflow.planned">): void {
    const { by, defaults } = event.data;
    const proposer = this.#tasks.get(by);
    if (proposer?.stage.kind === "proposing") {
      this.#stage(by, { kind: "completed", at: event.at, output: proposer.stage.output });
    }
    const { request, status } = this.#state;
    const phases = addedPhases(event, request);
    if (!this.#state.isPlanned) {
      this.#phases.length = 0;
      this.#tasks.clear();
    }
    this.#addPhases(phases, defaults, event.at);
    this.#set({
      recovery: defaults.recovery ?? {},
      defaultAttempts: defaults.attempts,
      isPlanned: true,
      status: by === "router" ? "planning" : phases.length > 0 ? "running" : status,
      concurrency: request.concurrency ?? defaults.concurrency,
    });
  }

  #addPhases(phases: readonly PhaseRequest[], defaults: PlanDefaults, at: number): void {
    const all = [...this.#phases.map((phase) => phase.request), ...phases];
    for (const request of phases) {
      const tasks = plannedTasks(this.#state, all, this.#phases.length, defaults, at);
      this.#phases.push({ request, open: tasks.length });
      for (const task of tasks) this.#tasks.set(task.id, task);
    }
  }
}
