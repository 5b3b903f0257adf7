import {
  type EventOf,
  fold,
  isOutstanding,
  isSettled,
  maxRevisions,
  type PhaseRequest,
  type TaskStage,
  type TaskState,
  type WorkflowEvent,
  type WorkflowState,
  type WorkflowStatus,
} from "@flotilla/workflow";
import { undoIdOf } from "../src/compensation.ts";
import { startOf } from "../src/deadline.ts";
import { workflowId } from "./model-store.ts";

/** The rules that every log keeps, whatever happened around it. */
export type Rule = "dependencies" | "concurrency" | "fencing" | "validity" | "finality" | "compensation";

export interface Violation {
  rule: Rule;
  seq: number;
  detail: string;
}

type ItemEvent = Extract<WorkflowEvent, { type: "item.opened" | "item.settled" | "item.expired" }>;

/** A line about a task. */
type TaskEvent = Extract<WorkflowEvent, { taskId: string }> | (ItemEvent & { taskId: string });

/** One step of a workflow or a task, as docs/state-machine.md draws it. */
export interface Step {
  from: WorkflowStatus | TaskStage["kind"];
  event: WorkflowEvent["type"];
  to: WorkflowStatus | TaskStage["kind"];
}

/** Walks a log line by line, and says which rules it breaks and which steps the workflow and its tasks take. */
export function examine(log: readonly WorkflowEvent[]): { violations: Violation[]; workflow: Step[]; tasks: Step[] } {
  const walk = new Walk();
  let state: WorkflowState | undefined;
  for (const event of log) {
    const after = fold(workflowId, state, [event]);
    if (state) walk.step(state, event, after);
    state = after;
  }
  return walk;
}

class Walk {
  readonly violations: Violation[] = [];
  readonly workflow: Step[] = [];
  readonly tasks: Step[] = [];

  step(before: WorkflowState, event: WorkflowEvent, after: WorkflowState): void {
    const report = (rule: Rule, detail: string) =>
      this.violations.push({ rule, seq: event.seq, detail: `${event.type}: ${detail}` });
    if (event.at < before.updatedAt) report("validity", "time goes back");
    if (before.endedAt !== undefined && event.type !== "retry.requested") report("finality", "after the end");
    this.#judge(before, event, report);
    this.#count(after, report);
    if (before.status !== after.status)
      this.workflow.push({ from: before.status, event: event.type, to: after.status });
    for (const task of after.tasks.values()) {
      const from = before.tasks.get(task.id)?.stage.kind;
      if (from && from !== task.stage.kind) this.tasks.push({ from, event: event.type, to: task.stage.kind });
    }
  }

  #judge(before: WorkflowState, event: WorkflowEvent, report: (rule: Rule, detail: string) => void): void {
    const scheduled = (taskId: string, attempt: number, dispatch: number) => {
      const task = before.tasks.get(taskId);
      if (!task) return report("validity", `${taskId} is not in the plan`);
      const { stage } = task;
      for (const need of needed(before, task)) {
        const stands = before.tasks.get(need);
        if (!stands || !isSettled(stands.stage)) report("dependencies", `${taskId} before ${need}`);
      }
      if (!["pending", "returned", "scheduled"].includes(stage.kind)) report("validity", `${taskId} is ${stage.kind}`);
      if (stage.kind === "scheduled" && before.seq !== this.#repairedAt)
        report("validity", `${taskId} is scheduled twice`);
      if (stage.kind === "pending" && (stage.notBefore ?? 0) > event.at) report("validity", `${taskId} is too early`);
      const { until = 0 } = (stage.kind === "returned" && stage.postponed) || {};
      if (until > event.at) report("validity", `${taskId} is too early`);
      if (attempt !== task.attempt || dispatch !== task.dispatch + 1)
        report("validity", `${taskId} ${attempt}.${dispatch}`);
    };
    switch (event.type) {
      case "workflow.planned":
        if (before.isPlanned && before.tasks.get(event.data.by)?.stage.kind !== "proposing")
          report("validity", "a plan of nobody");
        if (before.request.approvePlan && !isAllowed(before, event.data))
          report("validity", "a plan that nobody allowed");
        return;
      case "workflow.compensating":
        return this.#judgeUndoing(before, event.data.tasks, report);
      case "tasks.scheduled":
        for (const { taskId, attempt, dispatch } of event.data.tasks) scheduled(taskId, attempt, dispatch);
        return;
      case "task.scheduled":
        return scheduled(event.taskId, event.attempt, event.data.dispatch);
      case "repair.applied":
        this.#repairedAt = event.seq;
        return;
      case "task.started":
      case "task.progressed":
      case "state.changed":
      case "task.completed":
      case "task.failed":
      case "task.released":
      case "task.timed_out":
      case "task.crashed":
      case "task.quarantined":
      case "handoff.requested":
      case "handoff.accepted":
      case "handoff.completed":
      case "handoff.failed":
      case "handoff.rolled_back":
      case "task.retrying":
      case "task.cancelled":
      case "task.compensated":
        return this.#judgeTask(before, event, report);
      case "item.opened":
      case "item.settled":
      case "item.expired": {
        const { taskId } = event;
        if (taskId !== undefined) return this.#judgeTask(before, { ...event, taskId }, report);
        const isOpen = before.planGate?.kind === "asked" && event.type !== "item.opened";
        const isNew = before.planGate === undefined && event.type === "item.opened";
        if (before.isPlanned || (!isOpen && !isNew)) report("validity", `the plan is ${before.planGate?.kind}`);
        return;
      }
      case "workflow.completed":
        for (const { id, stage, onFailure } of before.tasks.values()) {
          if (!isSettled(stage)) report("validity", `${id} is ${stage.kind}`);
          if (stage.kind === "failed" && onFailure !== "continue" && stage.ends !== "nothing")
            report("validity", `${id} has failed`);
        }
        return;
      case "workflow.failed":
      case "workflow.aborted":
      case "workflow.cancelled":
        for (const { id, stage } of before.compensation ? before.tasks.values() : []) {
          const undo = before.tasks.get(undoIdOf(id))?.stage.kind;
          if (undo && (undo === "completed") !== (stage.kind === "compensated"))
            report("compensation", `${id}: ${undo}`);
        }
        for (const { id, stage } of before.tasks.values()) {
          if (!isSettled(stage)) report("validity", `${id} is ${stage.kind}`);
        }
        return;
      case "retry.requested":
        if (before.endedAt === undefined) report("validity", "before the end");
        if (before.status !== "failed" && before.status !== "aborted") report("finality", `after ${before.status}`);
        return;
      case "workflow.waiting":
        for (const { id, stage } of before.tasks.values()) {
          if (isOutstanding(stage)) report("validity", `${id} is ${stage.kind}`);
        }
        return;
      case "workflow.resumed":
        if (before.status !== "waiting") report("validity", `it is ${before.status}`);
        return;
      case "workflow.started":
        if (startOf(before) > event.at) report("validity", "too early");
        return;
      case "workflow.submitted":
      case "signal.received":
      case "cancel.requested":
        return;
    }
  }

  #repairedAt = 0;

  /** All that is done and says how it is undone, the last one first, once. */
  #judgeUndoing(before: WorkflowState, tasks: string[], report: (rule: Rule, detail: string) => void): void {
    if (before.compensation) report("compensation", "twice");
    const done = [...before.tasks.values()].filter(({ stage, compensate }) => stage.kind === "completed" && compensate);
    const order = done.toSorted((a, b) => b.doneSeq - a.doneSeq).map(({ id }) => id);
    if (order.join() !== tasks.join()) report("compensation", `${tasks.join()}, not ${order.join()}`);
    for (const { id, stage } of before.tasks.values()) {
      if (!isSettled(stage)) report("compensation", `${id} is ${stage.kind}`);
    }
  }

  #judgeTask(before: WorkflowState, event: TaskEvent, report: (rule: Rule, detail: string) => void): void {
    const task = before.tasks.get(event.taskId);
    if (!task) return report("validity", `${event.taskId} is not in the plan`);
    const { kind } = task.stage;
    if (event.type === "task.started") {
      if (kind !== "scheduled" || event.attempt !== task.attempt) report("fencing", `${task.id} is ${kind}`);
      if ((event.epoch ?? 0) <= task.epoch) report("fencing", `${task.id} has epoch ${task.epoch}`);
      return;
    }
    if (event.type === "task.cancelled")
      return isSettled(task.stage) ? report("validity", `${task.id} is ${kind}`) : undefined;
    if (event.type === "task.compensated") {
      const undo = before.tasks.get(undoIdOf(task.id));
      if (kind !== "completed" || undo?.stage.kind !== "completed") report("compensation", `${task.id} is ${kind}`);
      return;
    }
    if (event.type === "task.retrying") {
      const { agent, revision } = event.data;
      if (revision) {
        const isNext = revision.number === (task.revision?.number ?? 0) + 1 && revision.number <= maxRevisions;
        if (kind !== "proposing" || !isNext) report("validity", `${task.id} is ${kind}, and told ${revision.number}`);
        return;
      }
      if (kind !== "failing" || event.attempt !== task.attempt + 1) report("validity", `${task.id} is ${kind}`);
      if (agent !== undefined && agent !== task.fallback) report("validity", `${agent} takes ${task.id} over`);
      if (agent === undefined && event.attempt - task.firstAttempt >= task.attempts)
        report("validity", `${task.id} has ${task.attempts} attempts`);
      return;
    }
    // Decisions fail tasks too: one that a person has given up, and one whose phases are refused.
    if (event.type === "task.failed" && event.epoch === undefined) {
      if (event.data.error.code === "deadline-passed") {
        const { deadline = Infinity } = task;
        if (deadline > event.at || deadline <= before.deadlinesFrom || isSettled(task.stage))
          report("validity", `${task.id} has until ${deadline}`);
        return;
      }
      const isGivenUp = task.stage.kind === "waiting" && task.stage.verdict !== undefined;
      if (kind !== "proposing" && !isGivenUp) report("validity", `${task.id} is ${kind}`);
      return;
    }
    if (event.type !== "handoff.requested" && event.type.startsWith("handoff.")) {
      // What nobody waits for any more is only put to an end.
      const isEnding = event.type === "handoff.failed" || event.type === "handoff.rolled_back";
      if (kind !== "parked" && !isEnding) report("validity", `${task.id} is ${kind}`);
      return;
    }
    if (event.type === "task.quarantined" || (event.type === "item.opened" && event.data.kind === "quarantine")) {
      if (kind !== "condemned") report("validity", `${task.id} is ${kind}`);
      return;
    }
    if (event.type === "item.opened" && event.data.kind === "plan") {
      if (kind !== "proposing") report("validity", `${task.id} is ${kind}`);
      return;
    }
    if (event.type === "item.opened" && ["escalation", "compensation-failed"].includes(event.data.kind)) {
      if (task.stage.kind !== "failing" || task.stage.next !== "escalate") report("validity", `${task.id} is ${kind}`);
      return;
    }
    if (event.type === "item.settled" || event.type === "item.expired") {
      const isItsOwn = task.stage.kind === "waiting" && task.stage.item === event.data.item;
      if (!isItsOwn || task.stage.verdict !== undefined) report("validity", `${task.id} is ${kind}`);
      return;
    }
    if (kind !== "running" || event.epoch !== task.epoch)
      report("fencing", `${task.id} is ${kind} at epoch ${task.epoch}`);
  }

  #count(after: WorkflowState, report: (rule: Rule, detail: string) => void): void {
    const open = after.phases.map(() => 0);
    const outstanding = after.phases.map(() => 0);
    for (const { phase, stage } of after.tasks.values()) {
      if (!isSettled(stage)) open[phase] = (open[phase] ?? 0) + 1;
      if (isOutstanding(stage)) outstanding[phase] = (outstanding[phase] ?? 0) + 1;
    }
    after.phases.forEach((phase, p) => {
      if (phase.open !== open[p]) report("validity", `phase ${p} counts ${phase.open} open tasks`);
      if ((outstanding[p] ?? 0) > (phase.request.concurrency ?? Infinity)) report("concurrency", `phase ${p}`);
    });
    const all = outstanding.reduce((sum, count) => sum + count, 0);
    if (all > after.concurrency) report("concurrency", `${all} at once`);
  }
}

/** Whether a person has allowed what is planned, or nobody has to: the planner itself, and nothing. */
function isAllowed({ planGate, tasks }: WorkflowState, { by, phases }: EventOf<"workflow.planned">["data"]): boolean {
  if (by === "router" || phases?.length === 0) return true;
  if (by === "request") return planGate?.kind === "approved";
  const stage = tasks.get(by)?.stage;
  return stage?.kind === "proposing" && stage.isApproved === true;
}

/** The tasks that must be settled before this one, read straight from the contract. */
function needed(state: WorkflowState, { id, phase, origin, undoes, needs }: TaskState): string[] {
  if (origin) return [];
  if (undoes !== undefined) return needs.tasks.filter((other) => state.tasks.get(other)?.stage.kind !== "waiting");
  const here: PhaseRequest | undefined = state.phases[phase]?.request;
  const index = here?.tasks.findIndex((task) => task.id === id) ?? 0;
  const listed = here?.tasks[index]?.dependsOn;
  if (listed) return listed;
  const before = state.phases[phase - 1]?.request.tasks.map((task) => task.id) ?? [];
  const previous = here?.parallel ? undefined : here?.tasks[index - 1]?.id;
  return previous === undefined ? before : [...before, previous];
}
