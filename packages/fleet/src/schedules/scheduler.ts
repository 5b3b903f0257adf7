import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@flotilla/runtime";
import type { Priority, WorkflowRequest } from "@flotilla/workflow";
import { fleetTag, tagOf } from "../keys.ts";
import type { Scripts } from "../scripts.ts";
import { submitItem } from "../submission.ts";
import { lastSlot, nextSlot } from "./cron.ts";
import type { ScheduleRecord } from "./schedules.ts";

/** How often it looks whose slot has come, in ms. */
const pollMs = 1000;

/** Slots that are started at once. */
const startedAtOnce = 100;

/** How long a slot is known to have been started, in ms: whoever started it moves its schedule on at once. */
const rememberedMs = 7 * 86_400_000;

export interface SchedulerDeps {
  scripts: Scripts;
  shards: readonly string[];
  /** Puts workflows before those that start them; one that is not put there is found by its first look. */
  admit(workflows: { id: string; priority: Priority }[]): Promise<void>;
  logger: Logger;
}

/**
 * Starts what schedules ask for, each slot once: the workflow of a slot is submitted under a key of schedule and slot, and
 * then the schedule is moved on to the first slot after now. Any number of them share the work, and one that dies in
 * between leaves a submit that is repeated. All of it goes by the clock of Redis. Of several slots that have passed
 * unseen the last one is started, and the others are left out.
 */
export class Scheduler {
  readonly #deps: SchedulerDeps;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.round().catch((error: unknown) => {
        if (!signal.aborted) this.#deps.logger.warn({ err: error }, "schedules wait");
      });
      await delay(pollMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Starts what has come. */
  async round(): Promise<void> {
    const reply = await this.#deps.scripts.call("slots", fleetTag, [startedAtOnce]);
    // See the header of lua/slots.lua for the shape.
    const [now, ...due] = reply as [number, ...[string, string, string][]];
    await Promise.all(due.map(([id, slot, text]) => this.#start(now, id, slot, JSON.parse(text) as ScheduleRecord)));
  }

  async #start(now: number, id: string, slot: string, record: ScheduleRecord): Promise<void> {
    const { scripts, shards, admit } = this.#deps;
    const started = lastSlot(record, now, Number(slot));
    const request: WorkflowRequest = { ...record.request, tags: { ...record.request.tags, schedule: id } };
    // No key of a client holds the end of a line.
    const key = { key: `schedule\n${id}\n${started}`, bodyHash: "" };
    const { item } = submitItem(shards, { tenant: record.tenant, request }, key, rememberedMs);
    const shardOfItem = tagOf(String(item[0]));
    const [kind, workflowId] = (await scripts.item("submit", shardOfItem, item)) as [string, string];
    await scripts.item("slotted", fleetTag, [id, slot, started, workflowId, nextSlot(record, now)]);
    if (kind === "stored") await admit([{ id: workflowId, priority: request.priority ?? "normal" }]);
  }
}
