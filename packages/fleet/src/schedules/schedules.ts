import { createHash, randomBytes } from "node:crypto";
import {
  maxSchedules,
  type ScheduleOutcome,
  type ScheduleRequest,
  type Schedules,
  type ScheduleSummary,
  type ScheduleView,
} from "@flotilla/workflow";
import { fleetTag, scheduleIdFrom } from "../keys.ts";
import type { Reply, Scripts } from "../scripts.ts";
import { cronIssues, nextSlot } from "./cron.ts";

/** A schedule as Redis holds it. */
export interface ScheduleRecord extends ScheduleRequest {
  tenant: string;
  /** Tells bodies apart under one idempotency key. */
  body: string;
}

export interface RedisSchedulesDeps {
  scripts: Scripts;
  /** Turns what a lost Redis throws into the error that callers know. */
  guard<T>(answer: Promise<T>): Promise<T>;
  /** One item of a script whose answer somebody will rely on. */
  write(script: string, item: (string | number)[], head?: (string | number)[]): Promise<Reply>;
}

/** Schedules in Redis; see `Scheduler` for who starts what they ask for. */
export class RedisSchedules implements Schedules {
  readonly #deps: RedisSchedulesDeps;

  constructor(deps: RedisSchedulesDeps) {
    this.#deps = deps;
  }

  async create(
    tenant: string,
    request: ScheduleRequest,
    idempotency?: { key: string; bodyHash: string },
  ): Promise<ScheduleOutcome> {
    const now = await this.#now();
    const issues = cronIssues(request, now);
    if (issues.length > 0) return { kind: "invalid", issues };
    const random = idempotency
      ? createHash("sha256").update(`${tenant}\n${idempotency.key}`).digest()
      : randomBytes(26);
    const id = scheduleIdFrom(random);
    const record: ScheduleRecord = { ...request, tenant, body: idempotency?.bodyHash ?? "" };
    const item = [id, tenant, record.body, nextSlot(request, now), JSON.stringify(record)];
    const [kind] = (await this.#deps.write("schedule", item, [maxSchedules])) as [
      "stored" | "repeated" | "conflict" | "too-many",
    ];
    if (kind === "conflict") return { kind, id };
    if (kind === "too-many") return { kind };
    const schedule = await this.get(tenant, id);
    // Somebody was quick to remove it.
    if (!schedule) return { kind: "conflict", id };
    return { kind: "stored", schedule, isNew: kind === "stored" };
  }

  async list(tenant: string): Promise<ScheduleSummary[]> {
    return (await this.#read(tenant, "")).map(({ request: _, ...summary }) => summary);
  }

  async get(tenant: string, id: string): Promise<ScheduleView | undefined> {
    const [view] = await this.#read(tenant, id);
    return view;
  }

  async remove(tenant: string, id: string): Promise<boolean> {
    return (await this.#deps.write("unschedule", [id, tenant])) === 1;
  }

  async #read(tenant: string, id: string): Promise<ScheduleView[]> {
    const { scripts, guard } = this.#deps;
    const reply = await guard(scripts.call("schedules", fleetTag, [tenant, id]));
    // See the header of lua/schedules.lua for the shape.
    return (reply as [string, string, string, string, string][]).map(([id, createdAt, text, slot, last]) => {
      const { cron, timeZone, request } = JSON.parse(text) as ScheduleRecord;
      const [lastSlot, workflowId] = last.split(" ");
      return {
        id,
        cron,
        timeZone,
        createdAt: time(createdAt),
        nextAt: time(slot),
        ...(lastSlot && workflowId ? { last: { slot: time(lastSlot), workflowId } } : {}),
        request,
      };
    });
  }

  async #now(): Promise<number> {
    const [now] = (await this.#deps.guard(this.#deps.scripts.call("slots", fleetTag, [0]))) as [number];
    return now;
  }
}

const time = (ms: string) => new Date(Number(ms)).toISOString();
