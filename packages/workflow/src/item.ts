import { z } from "zod";
import { Failure } from "./failure.ts";
import type { Json } from "./json.ts";
import { PhaseRequest } from "./request.ts";

const JsonValue = z.custom<Json>((value) => value !== undefined, "is required");

/** What may wait for a person. */
export const ItemKind = z.enum([
  "approval",
  "compensation-failed",
  "escalation",
  "outcome-unknown",
  "plan",
  "quarantine",
]);
export type ItemKind = z.infer<typeof ItemKind>;

/** What a person may say about it; which of these, the kind of the item tells. */
export const ItemDecision = z.enum([
  "approve",
  "deny",
  "edit",
  "happened",
  "not-happened",
  "retry",
  "fail",
  "skip",
  "abort",
  "ignore",
]);
export type ItemDecision = z.infer<typeof ItemDecision>;

const decisions: Readonly<Record<ItemKind, readonly ItemDecision[]>> = {
  approval: ["approve", "deny", "edit"],
  "compensation-failed": ["retry", "ignore"],
  escalation: ["retry", "skip", "abort"],
  "outcome-unknown": ["happened", "not-happened", "fail"],
  plan: ["approve", "deny", "edit"],
  quarantine: ["retry", "fail"],
};

/** The decisions that an item of that kind can be settled with. */
export function decisionsOf(kind: ItemKind): readonly ItemDecision[] {
  return decisions[kind];
}

/** An effect of which nobody can say whether it happened. */
export const Doubt = z.object({
  step: z.string().meta({ description: "its key in the journal of the task" }),
  tool: z.string(),
  key: z.string().meta({ description: "what the other side knows the effect by" }),
  arguments: JsonValue.exactOptional().meta({ description: "left out above 2 KB" }),
  argumentsBytes: z.int(),
  argumentsHash: z.string().meta({ description: "SHA-256 of their canonical JSON" }),
});
export type Doubt = z.infer<typeof Doubt>;

/** A task whose process died while it ran alone in it. */
export const Quarantine = z.object({
  deaths: z.int(),
  reason: z.string().meta({ description: "how its own process ended" }),
});
export type Quarantine = z.infer<typeof Quarantine>;

/** Something that an agent does only with the word of a person, who is shown exactly what. */
export const Approval = z.object({
  step: z.string().meta({ description: "its key in the journal of the task" }),
  action: z.string().meta({ description: "what the agent calls it" }),
  arguments: JsonValue,
  argumentsHash: z.string().meta({ description: "SHA-256 of their canonical JSON: the word holds for these alone" }),
});
export type Approval = z.infer<typeof Approval>;

/** What an agent asks for approval of, in its own words. */
export interface ApprovalRequest {
  summary: string;
  detail: Approval;
  /** From the opening of the item; without it, it waits for as long as it takes. */
  expiresInMs?: number;
}

/** The word of a person in the journal: the arguments may be used as they are, or `edit` in their place. */
export const Grant = z.strictObject({ edit: JsonValue.exactOptional() });
export type Grant = z.infer<typeof Grant>;

/** A task, or what undoes one, that has failed, and of which a person is to say what becomes of it. */
export const Escalation = z.object({ error: Failure, attempts: z.int().meta({ description: "made so far" }) });
export type Escalation = z.infer<typeof Escalation>;

/** A plan that is to run, which a person is asked about first. */
export const PlanToApprove = z.object({
  by: z.string().meta({ description: "`request`, or the id of the task that planned" }),
  tasks: z.int().meta({ description: "how many" }),
  phases: z.array(PhaseRequest).exactOptional().meta({ description: "left out above 32 KB" }),
  phasesBytes: z.int(),
});
export type PlanToApprove = z.infer<typeof PlanToApprove>;

/** What is told about an item when it opens. */
export const OpenedItem = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("approval"),
    summary: z.string(),
    detail: Approval,
    expiresInMs: z.int().exactOptional(),
  }),
  z.object({ kind: z.literal("compensation-failed"), summary: z.string(), detail: Escalation }),
  z.object({ kind: z.literal("escalation"), summary: z.string(), detail: Escalation }),
  z.object({ kind: z.literal("outcome-unknown"), summary: z.string(), detail: Doubt }),
  z.object({ kind: z.literal("plan"), summary: z.string(), detail: PlanToApprove }),
  z.object({ kind: z.literal("quarantine"), summary: z.string(), detail: Quarantine }),
]);
export type OpenedItem = z.infer<typeof OpenedItem>;

/** The result of an effect as a person gives it: it stands in the journal as one that was recorded. */
export const AttestedResult = z.strictObject({ attested: JsonValue });
export type AttestedResult = z.infer<typeof AttestedResult>;

/** The form of the id of an item. */
export const itemIdPattern = /^(wf_[0-9a-z]{2}_[0-9a-z]{26})\.([1-9]\d{0,14})$/;

/** The place in the log of the line that opened an item. A fork shares it, though the id names its source. */
export function itemSeqOf(item: string): number {
  return Number(item.slice(item.lastIndexOf(".") + 1));
}

/** The id of an item: its workflow, and the place in the log of the line that opened it. */
export function itemIdOf(workflowId: string, seq: number): string {
  return `${workflowId}.${seq}`;
}
