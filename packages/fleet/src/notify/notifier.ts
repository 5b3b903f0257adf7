import { setTimeout as delay } from "node:timers/promises";
import type { Logger, Metrics } from "@flotilla/runtime";
import {
  type DeliveryOutcome,
  notificationOf,
  notifyDelayMs,
  type Notification,
  WorkflowStatus,
} from "@flotilla/workflow";
import type { NotificationTarget } from "@flotilla/workflow";
import { shardTag, tagOf } from "../keys.ts";
import { eventOf, type Line, parseLines } from "../log.ts";
import type { Reply, Scripts } from "../scripts.ts";

/** How often it looks whose turn has come, in ms. */
const pollMs = 500;

/** A workflow that was taken and not told within this time is taken by whoever comes first, in ms: longer than a try takes. */
const holdMs = 30_000;

/** Workflows that are told at once, in all and of one tenant: receivers that never answer hold up their tenant only. */
const mostAtOnce = 32;
const mostOfTenant = 8;

/** A workflow of a tenant that has no place now has its next turn after this, in ms. */
const busyMs = 2000;

/** Batches of a shard in one round: beyond those of a tenant that has no place, others are reached. */
const mostBatches = 20;

/** Lines of a log that are read at once. */
const pageLines = 1000;

export interface NotifierDeps {
  scripts: Scripts;
  shards: readonly string[];
  target: NotificationTarget;
  /** From the first try of a delivery to the last, in ms. */
  giveUpAfterMs: number;
  metrics: Metrics;
  logger: Logger;
}

/** A workflow of which something is to be told. */
interface Turn {
  id: string;
  tenant: string;
  url: string;
  now: number;
  told: number;
  tried: Tried | undefined;
}

/** The tries so far of the line that is being told. */
interface Tried {
  seq: number;
  tries: number;
  since: number;
}

/**
 * Runs behind the work and tells callbacks what the logs say, each workflow's in the order of its log and at least once.
 * The step that writes a line of which something is told puts its workflow in the set `notify`, so a process that dies
 * loses nothing; see lua/notify.lua. Any number of them share the work.
 */
export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #stopping = new AbortController();
  readonly #telling = new Set<Promise<void>>();
  readonly #byTenant = new Map<string, number>();
  #loop: Promise<void> | undefined;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await Promise.all(this.#telling);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for (const shard of this.#deps.shards) await this.#round(shard);
      } catch (error) {
        if (!signal.aborted) this.#deps.logger.warn({ err: error }, "callbacks wait");
      }
      await delay(pollMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #round(shard: string): Promise<void> {
    for (let batch = 0; batch < mostBatches; batch++) {
      const room = mostAtOnce - this.#telling.size;
      if (room <= 0 || this.#stopping.signal.aborted) return;
      const turns = await this.#take(shard, room);
      for (const turn of turns) {
        if ((this.#byTenant.get(turn.tenant) ?? 0) < mostOfTenant) this.#begin(turn);
        else await this.#putBack(turn, turn.told, busyMs);
      }
      if (turns.length < room) return;
    }
  }

  async #take(shard: string, most: number): Promise<Turn[]> {
    const reply = await this.#deps.scripts.call("notify", shardTag(shard), [most, holdMs]);
    // See the header of lua/notify.lua for the shape.
    const [now, ...entries] = reply as [number, ...[string, string, string, number, string][]];
    return entries.map(([id, tenant, url, told, telling]) => ({ id, tenant, url, now, told, tried: triedOf(telling) }));
  }

  #begin(turn: Turn): void {
    const { tenant, id } = turn;
    this.#byTenant.set(tenant, (this.#byTenant.get(tenant) ?? 0) + 1);
    const telling = this.#tell(turn)
      // It stays held, and is taken again after that.
      .catch((error: unknown) => this.#deps.logger.warn({ err: error, workflowId: id }, "a callback waits"))
      .finally(() => {
        this.#telling.delete(telling);
        const left = (this.#byTenant.get(tenant) ?? 1) - 1;
        if (left > 0) this.#byTenant.set(tenant, left);
        else this.#byTenant.delete(tenant);
      });
    this.#telling.add(telling);
  }

  /** Tells what is new in one log, line by line, until all of it is told or one cannot be told now. */
  async #tell(turn: Turn): Promise<void> {
    let { told, tried } = turn;
    for (;;) {
      const page = await this.#read(turn.id, told + 1);
      if (!page) return;
      for (const line of page.lines) {
        const event = eventOf(line);
        const notification = notificationOf(event, { id: turn.id, status: page.status });
        if (notification) {
          const before = tried?.seq === line.seq ? tried : { seq: line.seq, tries: 0, since: turn.now };
          const after = await this.#try(turn, notification, before);
          if (after === "stopped") return this.#putBack(turn, told, 1);
          if (after) {
            return this.#settle(turn.id, line.seq - 1, textOf(after), notifyDelayMs(after.tries));
          }
          tried = undefined;
          await this.#settle(turn.id, line.seq, "", holdMs);
        }
        told = line.seq;
      }
      if (page.lines.length < pageLines) return this.#settle(turn.id, told, "", 0);
    }
  }

  async #read(id: string, from: number): Promise<{ status: WorkflowStatus; lines: readonly Line[] } | undefined> {
    const reply = await this.#deps.scripts.item("load", tagOf(id), [id, from, pageLines]);
    if (reply === null) return undefined;
    // See the header of lua/load.lua for the shape.
    const [, status, , , , lines] = reply as [string, string, number, number, number, Reply];
    return { status: WorkflowStatus.parse(status), lines: parseLines(lines) };
  }

  /** What stands of the tries of a line that is to be tried again; undefined once it is done with. */
  async #try(turn: Turn, body: Notification, before: Tried): Promise<Tried | "stopped" | undefined> {
    const { target, metrics, logger, giveUpAfterMs } = this.#deps;
    const { id, tenant, url } = turn;
    const delivery = { id: `${id}-${before.seq}`, tenant, url, body };
    const outcome: DeliveryOutcome = await target.send(delivery, this.#stopping.signal);
    if (outcome.kind === "delivered") {
      metrics.notifications.inc({ outcome: "delivered" });
      return undefined;
    }
    if (this.#stopping.signal.aborted) return "stopped";
    const tries = before.tries + 1;
    const facts = { workflowId: id, tenant, seq: before.seq, event: body.type, host: new URL(url).host, tries };
    if (outcome.kind === "refused" || turn.now - before.since >= giveUpAfterMs) {
      metrics.notifications.inc({ outcome: "given_up" });
      logger.error({ ...facts, reason: outcome.reason }, "a callback is given up");
      return undefined;
    }
    metrics.notifications.inc({ outcome: "failed" });
    logger.info({ ...facts, reason: outcome.reason }, "a callback failed, and is tried again");
    return { ...before, tries };
  }

  async #putBack({ id, tried }: Turn, told: number, inMs: number): Promise<void> {
    await this.#settle(id, told, textOf(tried), inMs);
  }

  async #settle(id: string, told: number, telling: string, againMs: number): Promise<void> {
    await this.#deps.scripts.item("notified", tagOf(id), [id, told, telling, againMs]);
  }
}

/** See lua/notify.lua for the text. */
function textOf(tried: Tried | undefined): string {
  return tried ? `${tried.seq} ${tried.tries} ${tried.since}` : "";
}

function triedOf(text: string): Tried | undefined {
  const [seq, tries, since] = text.split(" ").map(Number);
  return seq && tries && since ? { seq, tries, since } : undefined;
}
