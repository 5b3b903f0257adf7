import { z } from "zod";
import type { WorkflowEvent } from "./event.ts";
import { decisionsOf, itemIdOf, ItemDecision, ItemKind } from "./item.ts";
import { WorkflowStatus } from "./view.ts";

/** What the `callbackUrl` of a workflow is told of. */
export const NotificationType = z.enum([
  "workflow.completed",
  "workflow.failed",
  "workflow.aborted",
  "workflow.cancelled",
  "item.opened",
]);
export type NotificationType = z.infer<typeof NotificationType>;

/** The body that is sent. It says where to look and not what is there, so that it is small and tells no secrets. */
export const Notification = z.object({
  type: NotificationType,
  timestamp: z.iso.datetime().meta({ description: "when it happened" }),
  data: z.object({
    id: z.string().meta({ description: "of the workflow" }),
    seq: z.int().meta({ description: "of the event in its log" }),
    status: WorkflowStatus.meta({ description: "when it was sent, which may be after more has happened" }),
    links: z.object({ self: z.string(), events: z.string() }),
    item: z
      .object({
        id: z.string(),
        kind: ItemKind,
        summary: z.string().meta({ description: "its first 500 characters" }),
        decisions: z.array(ItemDecision),
        links: z.object({ settle: z.string() }),
      })
      .exactOptional(),
  }),
});
export type Notification = z.infer<typeof Notification>;

/** A notification on its way: who it is for, and what names it however often it is sent. */
export interface Delivery {
  /** The same at every try: the workflow and the place of the event. */
  id: string;
  tenant: string;
  url: string;
  body: Notification;
}

/** What came of one try. `refused` is the receiver's word that it wants no more of it. */
export type DeliveryOutcome = { kind: "delivered" } | { kind: "refused" | "failed"; reason: string };

/** Where notifications go. A try ends within 15 s, never throws, and changes nothing here. */
export interface NotificationTarget {
  send(delivery: Delivery, signal: AbortSignal): Promise<DeliveryOutcome>;
}

const mostSummary = 500;

/** What is told about an event of a workflow; undefined for one of which nothing is told. */
export function notificationOf(
  event: WorkflowEvent,
  { id, status }: { id: string; status: WorkflowStatus },
): Notification | undefined {
  const type = NotificationType.safeParse(event.type);
  if (!type.success) return undefined;
  const self = `/v1/workflows/${id}`;
  const item = event.type === "item.opened" ? { item: itemTold(id, event.seq, event.data) } : {};
  return {
    type: type.data,
    timestamp: new Date(event.at).toISOString(),
    data: { id, seq: event.seq, status, links: { self, events: `${self}/events` }, ...item },
  };
}

function itemTold(workflowId: string, seq: number, { kind, summary }: { kind: ItemKind; summary: string }) {
  const id = itemIdOf(workflowId, seq);
  return {
    id,
    kind,
    summary: summary.slice(0, mostSummary),
    decisions: [...decisionsOf(kind)],
    links: { settle: `/v1/inbox/${id}` },
  };
}

const firstDelayMs = 1000;
const longestDelayMs = 600_000;

/** The wait after the nth try of a delivery that failed: 1 s, doubling up to 10 minutes. */
export function notifyDelayMs(tries: number): number {
  return Math.min(firstDelayMs * 2 ** Math.min(tries - 1, 20), longestDelayMs);
}
