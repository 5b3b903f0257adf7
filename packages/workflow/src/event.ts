import { z } from "zod";
import { Failure } from "./failure.ts";
import { ItemDecision, OpenedItem, Quarantine } from "./item.ts";
import type { Json } from "./json.ts";
import { RecoveryTable } from "./recovery.ts";
import { PhaseRequest, WorkflowRequest } from "./request.ts";
import { Revision } from "./revision.ts";
import { Postponement, SignalWait, TaskGrant } from "./wait.ts";

const JsonValue = z.custom<Json>();
const revisionDoc = { description: "what is wrong with the phases that it appended, for the next try" };
const Scheduled = z.object({ taskId: z.string(), attempt: z.int(), dispatch: z.int() });

/** A file that an agent made; the content is the blob of that hash. */
export const Artifact = z.object({
  name: z.string(),
  contentType: z.string(),
  bytes: z.int(),
  sha256: z.string(),
});
export type Artifact = z.infer<typeof Artifact>;

/** Defaults of the fleet at the time of planning; in the log, so that folding it again gives the same state. */
export const PlanDefaults = z.object({
  attempts: z.int(),
  concurrency: z.int(),
  recovery: z.record(z.string(), RecoveryTable).exactOptional().meta({ description: "by agent type; `*` for all" }),
});
export type PlanDefaults = z.infer<typeof PlanDefaults>;

/** Where a fork comes from: lines 2 to `seq` of its log are those of `id`. `at` is when it was made, in Redis time. */
export const ForkOrigin = z.object({ id: z.string(), seq: z.int(), at: z.int() });
export type ForkOrigin = z.infer<typeof ForkOrigin>;

function workflowEvent<T extends string, D extends z.ZodType>(type: T, data: D) {
  return z.object({ type: z.literal(type), data });
}
function taskEvent<T extends string, D extends z.ZodType>(type: T, data: D) {
  return z.object({
    type: z.literal(type),
    taskId: z.string(),
    attempt: z.int(),
    epoch: z.int().exactOptional(),
    data,
  });
}

/** Of a task, or of the whole workflow where a person is asked about its plan. */
function itemEvent<T extends string, D extends z.ZodType>(type: T, data: D) {
  return z.object({
    type: z.literal(type),
    taskId: z.string().exactOptional(),
    attempt: z.int().exactOptional(),
    epoch: z.int().exactOptional(),
    data,
  });
}

/** What happened, before the log gave it its place (`seq`) and its time (`at`). */
export const EventBody = z.discriminatedUnion("type", [
  workflowEvent(
    "workflow.submitted",
    z.object({
      tenant: z.string(),
      request: WorkflowRequest,
      forkedFrom: ForkOrigin.exactOptional(),
      traceparent: z.string().exactOptional().meta({ description: "W3C trace context of the request that made it" }),
    }),
  ),
  workflowEvent("workflow.started", z.object({})),
  workflowEvent(
    "workflow.planned",
    z.object({
      by: z.string().meta({ description: "`request`, `router`, or the id of the task that planned" }),
      phases: z.array(PhaseRequest).exactOptional().meta({ description: "left out for those that the request names" }),
      defaults: PlanDefaults,
    }),
  ),
  workflowEvent("workflow.completed", z.object({})),
  workflowEvent("workflow.failed", z.object({ error: Failure.extend({ taskId: z.string().exactOptional() }) })),
  workflowEvent("workflow.aborted", z.object({ error: Failure.extend({ taskId: z.string().exactOptional() }) })),
  workflowEvent("workflow.cancelled", z.object({ reason: z.string().exactOptional() })),
  workflowEvent(
    "workflow.compensating",
    z.object({
      end: z.discriminatedUnion("status", [
        z.object({
          status: z.enum(["failed", "aborted"]),
          error: Failure.extend({ taskId: z.string().exactOptional() }),
        }),
        z.object({ status: z.literal("cancelled"), reason: z.string().exactOptional() }),
      ]),
      tasks: z.array(z.string()).meta({ description: "to be undone, in that order" }),
    }),
  ),
  workflowEvent("workflow.waiting", z.object({})),
  workflowEvent("workflow.resumed", z.object({})),
  workflowEvent("tasks.scheduled", z.object({ tasks: z.array(Scheduled) })),
  taskEvent("task.scheduled", z.object({ dispatch: z.int() })),
  taskEvent("task.started", z.object({ worker: z.string(), claim: z.int() })),
  taskEvent("task.progressed", z.object({ message: z.string() })),
  taskEvent("state.changed", z.object({ name: z.string(), value: JsonValue })),
  taskEvent(
    "task.completed",
    z.object({
      outputBytes: z.int(),
      output: JsonValue.exactOptional(),
      artifacts: z.array(Artifact).exactOptional(),
      append: z.array(z.unknown()).exactOptional(),
    }),
  ),
  taskEvent("task.failed", z.object({ error: Failure, revision: Revision.exactOptional().meta(revisionDoc) })),
  taskEvent(
    "task.released",
    z.object({
      reason: z.string(),
      awaits: SignalWait.exactOptional().meta({ description: "what the task waits for, where it does" }),
      postponed: Postponement.exactOptional().meta({ description: "why it is not to be tried again at once" }),
    }),
  ),
  taskEvent(
    "task.retrying",
    z.object({
      error: Failure,
      notBefore: z.int(),
      agent: z.string().exactOptional().meta({ description: "the fallback that takes over; left out for another try" }),
      revision: Revision.exactOptional().meta(revisionDoc),
    }),
  ),
  taskEvent("task.timed_out", z.object({ timeoutMs: z.int() })),
  taskEvent(
    "task.crashed",
    z.object({
      deaths: z.int(),
      isolated: z
        .string()
        .exactOptional()
        .meta({ description: "how the process ended that the task had to itself; left out where a worker died" }),
    }),
  ),
  taskEvent("task.quarantined", Quarantine),
  taskEvent("task.cancelled", z.object({})),
  taskEvent("task.compensated", z.object({})),
  workflowEvent(
    "cancel.requested",
    z.object({ reason: z.string().exactOptional(), compensate: z.literal(true).exactOptional() }),
  ),
  workflowEvent("retry.requested", z.object({})),
  workflowEvent(
    "signal.received",
    z.object({
      name: z.string(),
      data: JsonValue.exactOptional(),
      by: z.string().meta({ description: "id of the API key" }),
    }),
  ),
  taskEvent(
    "handoff.requested",
    z.object({ to: z.string(), payload: JsonValue, step: z.string(), inputHash: z.string() }),
  ),
  taskEvent(
    "handoff.accepted",
    z.object({
      handoff: z.int().meta({ description: "place of the line that asked for it" }),
      task: z.string().meta({ description: "that does it" }),
      depth: z.int(),
      grant: TaskGrant.meta({ description: "what that task may at most" }),
      timeoutMs: z.int(),
      attempts: z.int(),
      backoffMs: z.int(),
    }),
  ),
  taskEvent("handoff.completed", z.object({ handoff: z.int() })),
  taskEvent("handoff.failed", z.object({ handoff: z.int(), error: Failure })),
  taskEvent("handoff.rolled_back", z.object({ handoff: z.int(), error: Failure })),
  itemEvent("item.opened", OpenedItem),
  itemEvent(
    "item.settled",
    z.object({
      item: z.string(),
      decision: ItemDecision,
      by: z.string().meta({ description: "id of the API key" }),
      reason: z.string().exactOptional(),
      result: JsonValue.exactOptional().meta({ description: "of an effect that happened" }),
      edit: JsonValue.exactOptional().meta({ description: "in place of the arguments" }),
    }),
  ),
  itemEvent("item.expired", z.object({ item: z.string() })),
  taskEvent("repair.applied", z.object({ kind: z.enum(["job-missing", "rebuilt"]), dispatch: z.int() })),
]);
export type EventBody = z.infer<typeof EventBody>;
export type EventType = EventBody["type"];
export type EventOf<T extends EventType> = Extract<EventBody, { type: T }>;

/** The phases that a request names itself, by a plan or by an agent; undefined where the planner makes them. */
export function requestedPhases({ plan, agent }: WorkflowRequest): readonly PhaseRequest[] | undefined {
  return agent === undefined ? plan?.phases : [singleTask(agent, "main")];
}

/** A phase of one task, both of that name, whose input is the workflow's. */
export function singleTask(agent: string, name: string): PhaseRequest {
  return { name, parallel: false, tasks: [{ id: name, agent, input: "{{input}}" }] };
}

/** The phases that a `workflow.planned` adds: its own, else those of the request, which the log does not say twice. */
export function addedPhases(event: EventOf<"workflow.planned">, request: WorkflowRequest): readonly PhaseRequest[] {
  return event.data.phases ?? requestedPhases(request) ?? [];
}

/** An immutable line of a workflow's log: `seq` counts from 1 without gaps, `at` is Redis time in ms. */
export type WorkflowEvent = EventBody & { seq: number; at: number };

/** A line of the log as the HTTP API gives it. */
export const EventView = z.object({
  seq: z.int(),
  type: z.string(),
  at: z.iso.datetime(),
  taskId: z.string().exactOptional(),
  attempt: z.int().exactOptional(),
  epoch: z.int().exactOptional(),
  data: z.unknown(),
});
export type EventView = z.infer<typeof EventView>;
