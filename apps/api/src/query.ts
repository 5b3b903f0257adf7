import { FailedStatus, ItemKind, WorkflowId, WorkflowRequest, WorkflowStatus } from "@flotilla/workflow";
import { z } from "zod";

function wholeNumber(min: number, max: number) {
  return z.preprocess(
    (text) => (typeof text === "string" && /^\d{1,16}$/.test(text) ? Number(text) : text),
    z.int("must be a whole number").min(min).max(max),
  );
}

const oneTag = z.string().transform((text, context) => {
  const colon = text.indexOf(":");
  const [key, value] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)];
  // The same rule as for the tags of a request: what could never be stored is a mistake in the query.
  if (WorkflowRequest.shape.tags.safeParse({ [key]: value }).success) return { key, value };
  context.addIssue({ code: "custom", message: "must be key:value, both of A-Z a-z 0-9 . _ / -" });
  return z.NEVER;
});

/** Query of `GET /v1/workflows`. */
export const ListParameters = z.strictObject({
  status: WorkflowStatus.exactOptional(),
  tag: oneTag.exactOptional(),
  limit: wholeNumber(1, 200).default(50),
  cursor: z.string().exactOptional(),
});

/** Query of `GET /v1/failures`; of each its whole log is read. */
export const FailureParameters = z.strictObject({
  status: FailedStatus.exactOptional(),
  tag: oneTag.exactOptional(),
  limit: wholeNumber(1, 50).default(20),
  cursor: z.string().exactOptional(),
});

/** Query of `GET /v1/inbox`. */
export const ItemParameters = z.strictObject({
  kind: ItemKind.exactOptional(),
  workflowId: WorkflowId.exactOptional(),
  limit: wholeNumber(1, 200).default(50),
  cursor: z.string().exactOptional(),
});

/** Query of `GET /v1/intake/dead-letters`. */
export const DeadLetterParameters = z.strictObject({ limit: wholeNumber(1, 200).default(50) });

/** Query of `GET /v1/workflows/:id/events`. */
export const EventParameters = z.strictObject({
  after: wholeNumber(0, Number.MAX_SAFE_INTEGER).default(0),
  limit: wholeNumber(1, 1000).default(1000),
});

/** `Idempotency-Key`, under `/headers` in the pointers of problems. */
export const IdempotencyHeader = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters")
    .exactOptional(),
});

/** `Last-Event-ID`: the last event that a client has seen. */
export const LastEventHeader = z.object({
  "last-event-id": wholeNumber(0, Number.MAX_SAFE_INTEGER).exactOptional(),
});
