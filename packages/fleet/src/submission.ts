import type { WorkflowRequest } from "@flotilla/workflow";
import { idempotencyPlace, newWorkflowId } from "./keys.ts";

/** Time from a submit to the look that adds the admission job again, should the first have been lost, in ms. */
export const firstLookMs = 5000;

/** What makes a submit that is repeated the same one, and for how long. */
export interface SubmissionKey {
  key: string;
  bodyHash: string;
}

/** A workflow as lua/submit.lua takes it, under a new id. */
export function submitItem(
  shards: readonly string[],
  { tenant, request, ...trace }: { tenant: string; request: WorkflowRequest; traceparent?: string },
  idempotency: SubmissionKey | undefined,
  idempotencyMs: number,
): { id: string; item: (string | number)[] } {
  const place = idempotency && idempotencyPlace(tenant, idempotency.key);
  const id = newWorkflowId(shards, place?.spot);
  const { priority = "normal", tags = {}, callbackUrl = "", startAt } = request;
  const event = JSON.stringify({ type: "workflow.submitted", data: { tenant, request, ...trace } });
  const key = [place?.hash ?? "", idempotency?.bodyHash ?? "", idempotencyMs];
  // When its time has come, a look says by the clock of Redis: the clock of this process admits nothing.
  const firstLook = startAt === undefined ? firstLookMs : 0;
  return { id, item: [id, tenant, priority, JSON.stringify(tags), callbackUrl, ...key, firstLook, event] };
}
