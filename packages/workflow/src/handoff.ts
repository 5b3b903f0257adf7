import { z } from "zod";
import type { EventBody, EventOf } from "./event.ts";
import type { Failure } from "./failure.ts";
import { canonicalJson, type Json } from "./json.ts";
import { type AgentCatalog, needsNothing } from "./plan.ts";
import { maxTasks } from "./request.ts";
import type { TaskState, WorkflowState } from "./state.ts";
import type { Gift, TaskGrant } from "./wait.ts";

/** Handoffs in a row, each by the task that the one before made. */
export const maxHandoffDepth = 5;

/** Largest payload, in bytes of JSON: what is larger is an artifact, or the output of a task, and handed over by name. */
export const maxPayloadBytes = 65_536;

/** A target is tried again after 2, 4 and 8 s. */
const attempts = 4;
const backoffMs = 2000;

/** One agent handing a piece of work to another. Its number is the place of the line that asked for it. */
export interface HandoffState {
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly payload: Json;
  readonly step: string;
  readonly inputHash: string;
  readonly status: "requested" | "accepted" | "completed" | "failed" | "rolled_back";
  /** The task that does it, once it is accepted. */
  readonly task: string | undefined;
  readonly error: Failure | undefined;
  readonly requestedAt: number;
  readonly endedAt: number | undefined;
}

/** What a task owes to the handoff that made it. */
export interface TaskOrigin {
  readonly handoff: number;
  /** Handoffs that lead to it. */
  readonly depth: number;
  readonly grant: TaskGrant;
}

/** Whether the task waits for this handoff; who does not has not released it, or has gone on without it. */
export function isParkedOn(task: TaskState | undefined, handoff: number): boolean {
  return task?.stage.kind === "parked" && "handoff" in task.stage.awaits && task.stage.awaits.handoff === handoff;
}

/** Whether this claim may hand work over: it is the one that has the task. */
export function mayRelease(task: TaskState | undefined, { attempt, epoch }: EventOf<"handoff.requested">): boolean {
  return task?.stage.kind === "running" && task.attempt === attempt && task.epoch === epoch;
}

/** What the task that waits for a handoff gets when it is over. */
export function handoffGift({ step, inputHash, task, error }: HandoffState): Gift | undefined {
  if (error) return { step, inputHash, given: { failure: error } };
  return task === undefined ? undefined : { step, inputHash, given: { output: task } };
}

/** The task that does what was handed over. It fails nobody but the task that waits for it. */
export function targetTask(
  source: TaskState,
  { to, payload }: HandoffState,
  { handoff, task: id, depth, grant, ...limits }: EventOf<"handoff.accepted">["data"],
  at: number,
): TaskState {
  return {
    id,
    phase: source.phase,
    agent: to,
    input: payload,
    needs: needsNothing,
    dependsOn: [],
    priority: source.priority,
    timeoutMs: limits.timeoutMs,
    deadline: undefined,
    attempts: limits.attempts,
    backoffMs: limits.backoffMs,
    fallback: undefined,
    recovery: {},
    revision: undefined,
    undoes: undefined,
    onFailure: "continue",
    compensate: undefined,
    doneSeq: 0,
    origin: { handoff, depth, grant },
    stage: { kind: "pending", since: at },
    attempt: 1,
    firstAttempt: 1,
    dispatch: 0,
    epoch: 0,
    deaths: 0,
    startedAt: undefined,
  };
}

/** What is to be decided now about one handoff; nothing while it goes on, and after its end. */
export function judgeHandoff(
  state: WorkflowState,
  handoff: HandoffState,
  agents: AgentCatalog,
  timeoutMs: number,
): EventBody[] {
  const source = state.tasks.get(handoff.from);
  const at = { taskId: handoff.from, attempt: source?.attempt ?? 1 };
  // Only a fork is cut off between the two lines.
  if (handoff.status === "failed" && handoff.error) {
    return [{ type: "handoff.rolled_back", ...at, data: { handoff: handoff.id, error: handoff.error } }];
  }
  if (handoff.status !== "requested" && handoff.status !== "accepted") return [];
  const back = (error: Failure): EventBody[] => [
    { type: "handoff.failed", ...at, data: { handoff: handoff.id, error } },
    { type: "handoff.rolled_back", ...at, data: { handoff: handoff.id, error } },
  ];
  if (!source || !isParkedOn(source, handoff.id)) {
    const message = `task ${handoff.from} does not wait for it any more`;
    return back({ class: "cancelled", code: "handoff-abandoned", message });
  }
  if (handoff.status === "requested") {
    const refusal = refusalOf(state, source, handoff, agents);
    if (refusal) return back({ class: "data", ...refusal });
    const data = {
      handoff: handoff.id,
      task: targetId(state, handoff.id),
      depth: depthOf(source) + 1,
      grant: narrowed(source, handoff.to, agents),
      timeoutMs,
      attempts,
      backoffMs,
    };
    return [{ type: "handoff.accepted", ...at, data }];
  }
  const stage = state.tasks.get(handoff.task ?? "")?.stage;
  switch (stage?.kind) {
    case "completed":
      return [{ type: "handoff.completed", ...at, data: { handoff: handoff.id } }];
    case "failed":
      return back(stage.error);
    case "cancelled":
    case undefined:
      return back({ class: "cancelled", code: "handoff-abandoned", message: "the task that did it was cancelled" });
    default:
      return [];
  }
}

function refusalOf(
  state: WorkflowState,
  source: TaskState,
  { to, payload }: HandoffState,
  agents: AgentCatalog,
): { code: string; message: string } | undefined {
  const agent = agents.get(to);
  if (!agent) return { code: "handoff-unknown-agent", message: `no agent of type ${to} is known` };
  const bytes = new TextEncoder().encode(JSON.stringify(payload)).length;
  if (bytes > maxPayloadBytes) {
    return { code: "handoff-too-large", message: `the payload has ${bytes} bytes, more than ${maxPayloadBytes}` };
  }
  if (depthOf(source) >= maxHandoffDepth) {
    return { code: "handoff-too-deep", message: `it would be the handoff number ${maxHandoffDepth + 1} in a row` };
  }
  if (state.tasks.size >= maxTasks) {
    return { code: "handoff-too-many", message: `the workflow has ${maxTasks} tasks already` };
  }
  if (isCycle(state, source, to, payload)) {
    return { code: "handoff-cycle", message: `an agent of type ${to} has this very work already, and waits for it` };
  }
  if (isBackAndForth(state, source, to)) {
    const message = `agents of types ${source.agent} and ${to} pass this work back and forth`;
    return { code: "handoff-back-and-forth", message };
  }
  const problem = schemaProblem(agent.input, payload);
  return problem === undefined ? undefined : { code: "handoff-invalid-payload", message: problem };
}

/** Whether somebody on the way to the source was given the same by the same type: it would come round for ever. */
function isCycle(state: WorkflowState, source: TaskState, to: string, payload: Json): boolean {
  const wanted = canonicalJson(payload);
  let task: TaskState | undefined = source;
  while (task) {
    if (task.agent === to && canonicalJson(task.input) === wanted) return true;
    const before: HandoffState | undefined = task.origin && state.handoffs.get(task.origin.handoff);
    task = before && state.tasks.get(before.from);
  }
  return false;
}

/**
 * Whether an agent of the one type has handed this work to the other before, and has it again: to ask back is well, to
 * be sent there once more is a loop whatever the payload says by now. A type may hand to its own, which is recursion.
 */
function isBackAndForth({ tasks, handoffs }: WorkflowState, source: TaskState, to: string): boolean {
  let task: TaskState | undefined = source;
  while (task?.origin && source.agent !== to) {
    const giver = tasks.get(handoffs.get(task.origin.handoff)?.from ?? "");
    if (giver?.agent === source.agent && task.agent === to) return true;
    task = giver;
  }
  return false;
}

function depthOf({ origin }: TaskState): number {
  return origin?.depth ?? 0;
}

/** What the target may: no more than its own type, and no more than who hands over. */
function narrowed(source: TaskState, to: string, agents: AgentCatalog): TaskGrant {
  const own = grantOf(agents, to);
  const giver = source.origin?.grant ?? grantOf(agents, source.agent);
  return { tools: own.tools.filter((tool) => giver.tools.includes(tool)), mayPlan: own.mayPlan && giver.mayPlan };
}

function grantOf(agents: AgentCatalog, type: string): TaskGrant {
  const agent = agents.get(type);
  return { tools: (agent?.tools ?? []).map(({ name }) => name), mayPlan: agent?.mayPlan ?? false };
}

function schemaProblem(schema: Json | undefined, payload: Json): string | undefined {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return undefined;
  let parsed: z.ZodSafeParseResult<unknown>;
  try {
    parsed = z.fromJSONSchema(schema).safeParse(payload);
  } catch {
    // A schema that cannot be read here is checked where the target runs.
    return undefined;
  }
  return parsed.success ? undefined : z.prettifyError(parsed.error);
}

/** A name that no task has. */
function targetId({ tasks }: WorkflowState, handoff: number): string {
  let id = `handoff-${handoff}`;
  while (tasks.has(id)) id += "_";
  return id;
}
