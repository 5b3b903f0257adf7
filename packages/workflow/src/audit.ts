import type { EventType } from "./event.ts";
import type { Json, JsonObject } from "./json.ts";

/** What somebody asked for, decided or was refused, and how a workflow came to its end. What tasks do is no matter of an audit. */
const audited: ReadonlySet<string> = new Set<EventType>([
  "workflow.submitted",
  "workflow.completed",
  "workflow.failed",
  "workflow.aborted",
  "workflow.cancelled",
  "workflow.compensating",
  "task.quarantined",
  "task.compensated",
  "cancel.requested",
  "retry.requested",
  "signal.received",
  "handoff.accepted",
  "handoff.rolled_back",
  "item.opened",
  "item.settled",
  "item.expired",
  "repair.applied",
]);

/** Of the data of an event, what names people, places and decisions, and nothing that a user or an agent wrote. */
const told = ["tenant", "by", "item", "decision", "kind", "name", "handoff", "task", "traceparent", "expiresInMs"];

/** An event of the log with whose it is, as it is exported. */
export type ExportedEvent = JsonObject & { workflowId: string; seq: number; type: string };

/** What an audit tells of an event; undefined for one that it does not. */
export function auditOf(event: ExportedEvent): Json | undefined {
  if (!audited.has(event.type)) return undefined;
  const { data, ...facts } = event;
  const given = isObject(data) ? data : {};
  const error = isObject(given["error"]) ? given["error"] : undefined;
  return {
    ...facts,
    ...Object.fromEntries(told.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]))),
    ...(error && { error: { class: error["class"] ?? null, code: error["code"] ?? null } }),
  };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
