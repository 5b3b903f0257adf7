import { z } from "zod";
import { Artifact } from "./event.ts";
import { Failure } from "./failure.ts";
import { Approval, Doubt, Escalation, ItemDecision, ItemKind, PlanToApprove, Quarantine } from "./item.ts";
import type { Json } from "./json.ts";
import { PlanRequest, Priority } from "./request.ts";

const JsonValue = z.custom<Json>().meta({ description: "any JSON value" });
const Time = z.iso.datetime({ precision: 3 });

export const WorkflowStatus = z.enum([
  "queued",
  "planning",
  "running",
  "waiting",
  "compensating",
  "completed",
  "failed",
  "aborted",
  "cancelled",
]);
export type WorkflowStatus = z.infer<typeof WorkflowStatus>;

export const TaskStatus = z.enum([
  "pending",
  "queued",
  "running",
  "waiting",
  "completed",
  "failed",
  "cancelled",
  "compensated",
]);
export type TaskStatus = z.infer<typeof TaskStatus>;

const WaitReason = z.enum([
  "dependency",
  "concurrency",
  "schedule",
  "retry-backoff",
  "worker",
  "paused",
  "lease",
  "person",
  "signal",
  "handoff",
  "circuit-open",
  "provider-limit",
  "budget",
]);

/** Why a task is not running. */
export const WaitingFor = z.object({
  reason: WaitReason,
  since: Time,
  until: Time.exactOptional(),
  item: z.string().exactOptional().meta({ description: "of the inbox" }),
  of: z
    .string()
    .exactOptional()
    .meta({ description: "the circuit that is open, or the provider whose limit is reached" }),
});
export type WaitingFor = z.infer<typeof WaitingFor>;

export const TaskView = z.object({
  id: z.string(),
  phase: z.string(),
  agent: z.string(),
  status: TaskStatus,
  attempt: z.int(),
  dependsOn: z.array(z.string()),
  waitingFor: WaitingFor.exactOptional(),
  startedAt: Time.exactOptional(),
  endedAt: Time.exactOptional(),
  error: Failure.exactOptional(),
  output: JsonValue.exactOptional().meta({ description: "inline up to 4 KB" }),
  outputBytes: z.int(),
  compensation: z
    .object({
      agent: z.string(),
      status: TaskStatus,
      attempt: z.int(),
      waitingFor: WaitingFor.exactOptional(),
      error: Failure.exactOptional(),
    })
    .exactOptional()
    .meta({ description: "how its undoing stands, where that has begun" }),
});
export type TaskView = z.infer<typeof TaskView>;

export const Links = z.object({ self: z.string(), events: z.string(), cancel: z.string() });

export const SubmitView = z.object({ id: z.string(), status: WorkflowStatus, links: Links });
export type SubmitView = z.infer<typeof SubmitView>;

/** One agent handing a piece of work to another. */
export const HandoffView = z.object({
  id: z.int().meta({ description: "place of the event that asked for it" }),
  from: z.string().meta({ description: "the task that hands over, and waits" }),
  to: z.string().meta({ description: "agent type" }),
  task: z.string().exactOptional().meta({ description: "that does it, once it is accepted" }),
  status: z.enum(["requested", "accepted", "completed", "failed", "rolled_back"]),
  error: Failure.exactOptional(),
  requestedAt: Time,
  endedAt: Time.exactOptional(),
});
export type HandoffView = z.infer<typeof HandoffView>;

const Cost = z.object({ usd: z.number(), tokens: z.object({ input: z.int(), output: z.int() }) });
/** What a workflow has spent on models. */
export type Cost = z.infer<typeof Cost>;

export const WorkflowView = z.object({
  id: z.string(),
  status: WorkflowStatus,
  input: JsonValue,
  plan: PlanRequest.nullable(),
  phase: z.string().nullable(),
  tasks: z.array(TaskView),
  handoffs: z.array(HandoffView),
  result: JsonValue.exactOptional(),
  error: Failure.extend({ taskId: z.string().exactOptional() }).exactOptional(),
  compensation: z.enum(["none", "done", "failed"]),
  cost: Cost,
  priority: Priority,
  tags: z.record(z.string(), z.string()),
  createdAt: Time,
  updatedAt: Time,
  endedAt: Time.exactOptional(),
});
export type WorkflowView = z.infer<typeof WorkflowView>;

/** A workflow in a list: what the index knows, without its log. */
export const WorkflowSummary = z.object({
  id: z.string(),
  status: WorkflowStatus,
  priority: Priority,
  tags: z.record(z.string(), z.string()),
  createdAt: Time,
  updatedAt: Time,
  endedAt: Time.exactOptional(),
});
export type WorkflowSummary = z.infer<typeof WorkflowSummary>;

export const ArtifactView = Artifact.extend({ taskId: z.string() });
export type ArtifactView = z.infer<typeof ArtifactView>;

/** Something that waits for a person. */
export const ItemView = z.object({
  id: z.string(),
  kind: ItemKind,
  workflowId: z.string(),
  taskId: z.string().exactOptional(),
  summary: z.string(),
  detail: z.union([
    Doubt.extend({ attempt: z.int() }),
    Quarantine.extend({ attempt: z.int() }),
    Approval.extend({ attempt: z.int() }),
    Escalation.extend({ attempt: z.int() }),
    PlanToApprove.extend({ attempt: z.int().exactOptional() }),
  ]),
  decisions: z.array(ItemDecision),
  openedAt: Time,
  expiresAt: Time.exactOptional(),
});
export type ItemView = z.infer<typeof ItemView>;

/** An item that has just been settled. */
export const SettledItem = z.object({
  id: z.string(),
  kind: ItemKind,
  workflowId: z.string(),
  taskId: z.string().exactOptional(),
  decision: ItemDecision,
  settledAt: Time,
});
export type SettledItem = z.infer<typeof SettledItem>;

export const AgentView = z.object({
  type: z.string(),
  description: z.string(),
  input: JsonValue,
  output: JsonValue,
  tools: z.array(z.object({ name: z.string(), description: z.string() })),
  permissions: z.object({ tools: z.array(z.string()), mayPlan: z.boolean() }),
  workers: z.int().meta({ description: "that live" }),
  knownWorkers: z.int().meta({ description: "those, and the ones that have lately gone without a word" }),
  backlog: z.int(),
  paused: z.boolean().meta({ description: "whether its tasks wait until an operator resumes it" }),
  pausedSince: Time.exactOptional(),
});
export type AgentView = z.infer<typeof AgentView>;
