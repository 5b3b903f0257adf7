import { setTimeout as delay } from "node:timers/promises";
import type { Logger, Metrics } from "@flotilla/runtime";
import type { Archive } from "@flotilla/workflow";
import type { Connection } from "../connection.ts";
import { shardTag } from "../keys.ts";
import type { Scripts } from "../scripts.ts";
import { WorkflowArchive } from "./archive.ts";
import { copyKeys } from "./key-copy.ts";
import { copyPauses } from "./pause-copy.ts";
import { sayHowFar } from "./progress.ts";
import { copySchedules } from "./schedule-copy.ts";
import { Shipper, shipEveryMs } from "./shipper.ts";

/** How often it looks whose turn has come, in ms. */
const pollMs = 250;

/** Workflows of a shard taken at once, and shipped at once. */
const takenAtOnce = 64;
const shippedAtOnce = 8;

/** A workflow that was taken and not shipped within this time is taken again, by whoever comes first, in ms. */
const holdMs = 5000;

/** How long it waits after the archive could not be reached, in ms. */
const patienceMs = 1000;

/** How often it says how far the archive is, and looks for new API keys, in ms. */
const tellEveryMs = 1000;

/** How often ends whose time is over are looked for, in ms. */
const pruneEveryMs = 3_600_000;

export interface RelayDeps {
  scripts: Scripts;
  connection: Connection;
  objects: Archive;
  shards: readonly string[];
  checkpointEveryMs: number;
  /** How long the end of a workflow is kept in the archive, in ms. */
  archiveRetentionMs: number;
  /** Whether what is archived is exported. */
  hasExport: boolean;
  metrics: Metrics;
  logger: Logger;
}

/**
 * Runs behind the work and brings it into the archive: it never slows a workflow, and what it cannot write yet stays in
 * Redis until it is written. Any number of them share the work.
 */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #archive: WorkflowArchive;
  readonly #shipper: Shipper;
  readonly #stopping = new AbortController();
  /** Workflows that could not be shipped: since when, and when they were last tried, in the time of `performance.now()`. */
  readonly #failing = new Map<string, { since: number; triedAt: number }>();
  /** Since when it has been trying in vain; undefined while what it tries is done. */
  #awaySince: number | undefined;
  /** By shard, as the last take of it found: while much is caught up with, a round takes long. */
  readonly #lateMs = new Map<string, number>();
  #teller: NodeJS.Timeout | undefined;
  #loop: Promise<void> | undefined;
  #lagMs = 0;
  #keys = "";
  #schedules = "";
  #pauses = "";
  #toldAt = -Infinity;
  #prunedAt = performance.now();

  constructor(deps: RelayDeps) {
    this.#deps = deps;
    this.#archive = new WorkflowArchive(deps.objects);
    this.#shipper = new Shipper({ ...deps, archive: this.#archive });
  }

  start(): void {
    // Also while a call waits for an archive that is away: that may be half a minute.
    this.#teller = setInterval(() => this.#measure(), tellEveryMs).unref();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#teller);
    await this.#loop;
  }

  /** How long the archive has been lacking what it lacks most, in ms. */
  get lagMs(): number {
    return this.#lagMs;
  }

  async #run(): Promise<void> {
    const { logger } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      let pauseMs = pollMs;
      try {
        const failures = await this.#round();
        // Where nothing was left to try, another supervisor has done it.
        if (failures.length === 0) this.#awaySince = undefined;
        this.#measure();
        await this.#tell();
        if (failures.length > 0) {
          logger.warn({ err: failures[0], workflows: this.#failing.size }, "not archived yet");
          pauseMs = patienceMs;
        }
        await this.#prune();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        logger.warn({ err: error }, "the archive is behind");
        pauseMs = patienceMs;
      }
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Ships what is due; answers what went wrong. */
  async #round(): Promise<unknown[]> {
    const failures: unknown[] = [];
    await Promise.all(
      this.#deps.shards.map(async (shard) => {
        for (;;) {
          const { turns, ids } = await this.#take(shard);
          const left = [...ids];
          await Promise.all(
            Array.from({ length: shippedAtOnce }, async () => {
              for (let id = left.shift(); id !== undefined; id = left.shift()) await this.#ship(id, failures);
            }),
          );
          if (turns < takenAtOnce || failures.length > 0 || this.#stopping.signal.aborted) return;
        }
      }),
    );
    return failures;
  }

  async #take(shard: string): Promise<{ turns: number; ids: readonly string[] }> {
    const reply = await this.#deps.scripts.call("relay", shardTag(shard), [takenAtOnce, holdMs, shipEveryMs]);
    // See the header of lua/relay.lua for the shape.
    const [turns, lateMs, ...ids] = reply as [number, number, ...string[]];
    this.#lateMs.set(shard, lateMs);
    return { turns, ids };
  }

  async #ship(id: string, failures: unknown[]): Promise<void> {
    // One that failed says that the others would: they wait for the next round.
    if (failures.length > 0 || this.#stopping.signal.aborted) return;
    const began = performance.now();
    this.#awaySince ??= began;
    try {
      await this.#shipper.ship(id);
      this.#failing.delete(id);
      this.#awaySince = undefined;
    } catch (error) {
      this.#failing.set(id, { since: this.#failing.get(id)?.since ?? began, triedAt: performance.now() });
      failures.push(error);
    }
  }

  #measure(): void {
    const now = performance.now();
    let failingMs = 0;
    for (const [id, { since, triedAt }] of this.#failing) {
      // Another supervisor has shipped it, or says how late it is.
      if (now - triedAt > 3 * holdMs) this.#failing.delete(id);
      else failingMs = Math.max(failingMs, now - since);
    }
    const awayMs = this.#awaySince === undefined ? 0 : now - this.#awaySince;
    this.#lagMs = Math.max(...this.#lateMs.values(), failingMs, awayMs);
    this.#deps.metrics.checkpointLagSeconds.set(this.#lagMs / 1000);
  }

  /** What a rebuild needs beside the workflows: keys, schedules, what is paused, and until when the archive was complete. */
  async #tell(): Promise<void> {
    if (performance.now() - this.#toldAt < tellEveryMs) return;
    this.#toldAt = performance.now();
    const { connection, objects } = this.#deps;
    this.#keys = await copyKeys(connection, objects, this.#keys);
    this.#schedules = await copySchedules(connection, objects, this.#schedules);
    this.#pauses = await copyPauses(connection, objects, this.#pauses);
    await sayHowFar(objects, Date.now() - this.#lagMs - shipEveryMs);
  }

  async #prune(): Promise<void> {
    const { archiveRetentionMs, logger } = this.#deps;
    if (performance.now() - this.#prunedAt < Math.min(pruneEveryMs, archiveRetentionMs)) return;
    this.#prunedAt = performance.now();
    const removed = await this.#archive.prune(Date.now() - archiveRetentionMs);
    if (removed > 0) logger.info({ removed }, "archived workflows whose time was over are removed");
  }
}
