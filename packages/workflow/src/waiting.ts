import { startOf } from "./deadline.ts";
import { isReady, type TaskStage, type TaskState, type WorkflowState } from "./state.ts";
import type { WaitingFor } from "./view.ts";
import type { Postponement } from "./wait.ts";

/** Why tasks wait where their log does not tell; all times are Redis time in ms. */
export interface Surroundings {
  /** By agent type, since when it is paused. */
  paused: ReadonlyMap<string, number>;
  /** By task, since when nothing was heard of the worker that runs it, and when it is taken for dead. */
  silent: ReadonlyMap<string, { since: number; until: number }>;
}

/** Nothing is known but the log. */
export const noSurroundings: Surroundings = { paused: new Map(), silent: new Map() };

/** What a reader of this state has to find out: whether these agent types are paused, and these tasks' workers live. */
export function neededSurroundings({ tasks }: WorkflowState): { agents: string[]; running: string[] } {
  const agents = new Set<string>();
  const running: string[] = [];
  for (const { id, agent, stage } of tasks.values()) {
    if (isQueued(stage)) agents.add(agent);
    if (stage.kind === "running") running.push(id);
  }
  return { agents: [...agents], running };
}

/** Why a task is not being worked on; undefined where it is, or has ended. */
export function waitOf(state: WorkflowState, task: TaskState, around: Surroundings): WaitingFor | undefined {
  const { stage } = task;
  switch (stage.kind) {
    case "completed":
    case "compensated":
    case "failed":
    case "cancelled":
    case "proposing":
      return undefined;
    case "running":
      return leaseWait(around.silent.get(task.id));
    case "waiting": {
      const until = stage.expiresAt === undefined ? {} : { until: time(stage.expiresAt) };
      return { reason: "person", since: time(stage.since), ...until, item: stage.item };
    }
    case "parked":
      return { reason: "handoff" in stage.awaits ? "handoff" : "signal", since: time(stage.since) };
    case "returned":
      return stage.postponed
        ? postponedWait(stage.since, stage.postponed)
        : queueWait(stage.since, around.paused.get(task.agent));
    case "scheduled":
    case "condemned":
      return queueWait(stage.since, around.paused.get(task.agent));
    case "failing":
      return { reason: "retry-backoff", since: time(stage.since) };
    case "pending":
      return pendingWait(state, task, stage);
  }
}

function isQueued(stage: TaskStage): boolean {
  return stage.kind === "scheduled" || (stage.kind === "returned" && !stage.postponed) || stage.kind === "condemned";
}

function leaseWait(silent: { since: number; until: number } | undefined): WaitingFor | undefined {
  return silent && { reason: "lease", since: time(silent.since), until: time(silent.until) };
}

function postponedWait(
  since: number,
  { reason, of, until }: { reason: Postponement["reason"]; of: string; until: number },
): WaitingFor {
  return { reason, since: time(since), until: time(until), of };
}

function queueWait(since: number, pausedSince: number | undefined): WaitingFor {
  if (pausedSince === undefined) return { reason: "worker", since: time(since) };
  return { reason: "paused", since: time(Math.max(since, pausedSince)) };
}

function pendingWait(
  state: WorkflowState,
  task: TaskState,
  { since: from, notBefore }: Extract<TaskStage, { kind: "pending" }>,
): WaitingFor {
  const since = time(from);
  const startAt = state.status === "queued" ? startOf(state) : 0;
  if (startAt > 0) return { reason: "schedule", since, until: time(startAt) };
  if (!isReady(state, task)) return { reason: "dependency", since };
  const { planGate: gate } = state;
  if (gate?.kind === "asked") return { reason: "person", since: time(gate.since), item: gate.item };
  if (notBefore !== undefined) return { reason: "retry-backoff", since, until: time(notBefore) };
  return { reason: "concurrency", since };
}

const time = (at: number) => new Date(at).toISOString();
