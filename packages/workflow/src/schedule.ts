import { z } from "zod";
import type { Issue } from "./issue.ts";
import { WorkflowRequest } from "./request.ts";

const Time = z.iso.datetime({ precision: 3 });

/** The form of the id of a schedule. */
export const ScheduleId = z.string().regex(/^sch_[0-9a-z]{26}$/);

/** Most schedules of one tenant. */
export const maxSchedules = 100;

/** What is asked for again and again: the body of `POST /v1/schedules`. */
export const ScheduleRequest = z.strictObject({
  cron: z.string().max(200).meta({ description: "minute, hour, day of month, month, day of week" }),
  timeZone: z.string().max(100).default("UTC").meta({ description: "IANA name, in which `cron` is read" }),
  request: WorkflowRequest.refine(({ startAt, deadline }) => startAt === undefined && deadline === undefined, {
    message: "startAt and deadline are points in time, and do not come again",
  }),
});
export type ScheduleRequest = z.infer<typeof ScheduleRequest>;

/** A schedule without what it asks for. */
export const ScheduleSummary = z.object({
  id: z.string(),
  cron: z.string(),
  timeZone: z.string(),
  createdAt: Time,
  nextAt: Time.meta({ description: "the next slot" }),
  last: z.object({ slot: Time, workflowId: z.string() }).exactOptional().meta({ description: "that was started" }),
});
export type ScheduleSummary = z.infer<typeof ScheduleSummary>;

export const ScheduleView = ScheduleSummary.extend({ request: WorkflowRequest });
export type ScheduleView = z.infer<typeof ScheduleView>;

export type ScheduleOutcome =
  /** `isNew` is false where the same key and body made it before. */
  | { kind: "stored"; schedule: ScheduleView; isNew: boolean }
  | { kind: "conflict"; id: string }
  | { kind: "invalid"; issues: readonly Issue[] }
  | { kind: "too-many" };

/** What starts workflows at their times. As in `WorkflowStore`, another tenant's is as one that does not exist. */
export interface Schedules {
  create(
    tenant: string,
    request: ScheduleRequest,
    idempotency?: { key: string; bodyHash: string },
  ): Promise<ScheduleOutcome>;
  /** Oldest first. */
  list(tenant: string): Promise<ScheduleSummary[]>;
  get(tenant: string, id: string): Promise<ScheduleView | undefined>;
  /** Whether there was one. What it has started goes on. */
  remove(tenant: string, id: string): Promise<boolean>;
}
