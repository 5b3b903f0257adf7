import type { Logger, RedisSettings } from "@flotilla/runtime";
import { type EffectClass, type JournalEntry, type Archive, shardOf } from "@flotilla/workflow";
import { connect, type Connection, disconnect, isConnected } from "../connection.ts";
import { fleetTag, shardTag } from "../keys.ts";
import { Scripts } from "../scripts.ts";
import { fleetShards } from "../shards.ts";
import { WorkflowArchive, type History } from "./archive.ts";
import { restoreKeys } from "./key-copy.ts";
import { restorePauses } from "./pause-copy.ts";
import { readHowFar } from "./progress.ts";
import { type Restored, restore } from "./restore.ts";
import { restoreSchedules } from "./schedule-copy.ts";

/** Workflows restored at once. */
const restoredAtOnce = 16;

/** Stands while a rebuild is under way: one that was killed may be begun again. */
const underWayKey = `${fleetTag}:rebuild`;

export interface RebuildOptions {
  redis: RedisSettings;
  objects: Archive;
  /** How long an ended workflow is kept in Redis, in ms. */
  retentionMs: number;
  /** Whether to go on where Redis holds live workflows; those that it has stay as they are. */
  force: boolean;
  /** Told of each workflow that was looked at. */
  onProgress?(report: RebuildReport): void;
  logger: Logger;
}

/** What a rebuild found and did. */
export interface RebuildReport {
  /** Workflows in the archive that belong into Redis. */
  found: number;
  /** Of these, put back: open ones and ended ones. */
  open: number;
  ended: number;
  /** Of these, there already. */
  present: number;
  /** Tasks that ran at the loss and are handed to other workers. */
  released: number;
  /** Effects that had begun and of which no result is known, by class: see docs/guarantees.md for what becomes of them. */
  unproven: Record<EffectClass, number>;
  /** API keys put back. */
  keys: number;
  /** Schedules put back. */
  schedules: number;
  /** Agent types that are paused as they were. */
  paused: readonly string[];
  /** Objects that are torn, tampered with or unknown, and workflows of which nothing can be used. */
  unreadable: { name: string; reason: string }[];
  /**
   * The archive has all that was acknowledged before this time; what was acknowledged after it may be lost. ISO 8601, or
   * null where the archive does not say.
   */
  archivedUntil: string | null;
}

/** Redis holds live workflows, and nobody has said that it may be written to all the same. */
export class RebuildRefusedError extends Error {
  constructor(live: number) {
    super(`Redis holds ${live} live workflow${live === 1 ? "" : "s"}: a rebuild is for one that has lost its data`);
    this.name = "RebuildRefusedError";
  }
}

/**
 * Puts back into Redis what the archive has: after FLUSHALL, or with an empty one. A workflow is put back in one step and
 * only where Redis has not got it, so a rebuild may be killed and begun again, and run beside a fleet that is up.
 * Rejects with `RebuildRefusedError` on a Redis with live workflows, and as its Redis or its archive do.
 */
export async function rebuild(options: RebuildOptions): Promise<RebuildReport> {
  const { redis, objects, logger } = options;
  const connection = connect(redis, "patient", logger);
  try {
    await isConnected(connection);
    const shards = await fleetShards(connection);
    const isContinued = (await connection.exists(underWayKey)) === 1;
    if (!options.force && !isContinued) await refuseLive(connection, shards);
    await connection.set(underWayKey, "1");
    // First of all: what is paused must not begin before it is.
    const paused = await restorePauses(connection, objects);
    const run = new Rebuild(connection, new WorkflowArchive(objects), shards, options);
    const report = { ...(await run.run()), paused };
    report.keys = await restoreKeys(connection, objects);
    report.schedules = await restoreSchedules(connection, objects);
    const completeUntil = await readHowFar(objects);
    if (completeUntil !== undefined) report.archivedUntil = new Date(completeUntil).toISOString();
    await connection.del(underWayKey);
    return report;
  } finally {
    disconnect(connection);
  }
}

async function refuseLive(connection: Connection, shards: readonly string[]): Promise<void> {
  // What has ended is due as well, when its retention is over.
  const counts = await Promise.all(shards.map((shard) => connection.zcard(`${shardTag(shard)}:relay`)));
  const live = counts.reduce((sum, count) => sum + count, 0);
  if (live > 0) throw new RebuildRefusedError(live);
}

class Rebuild {
  readonly #scripts: Scripts;
  readonly #archive: WorkflowArchive;
  readonly #shards: readonly string[];
  readonly #options: RebuildOptions;
  readonly #now = Date.now();
  readonly #report: RebuildReport = {
    found: 0,
    open: 0,
    ended: 0,
    present: 0,
    released: 0,
    unproven: { idempotent: 0, queryable: 0, unsafe: 0 },
    keys: 0,
    schedules: 0,
    paused: [],
    unreadable: [],
    archivedUntil: null,
  };

  constructor(connection: Connection, archive: WorkflowArchive, shards: readonly string[], options: RebuildOptions) {
    this.#scripts = new Scripts(connection);
    this.#archive = archive;
    this.#shards = shards;
    this.#options = options;
  }

  async run(): Promise<RebuildReport> {
    const done = new Set<string>();
    await this.#each(this.#archive.open(), done);
    await this.#each(this.#archive.ended(), done);
    return this.#report;
  }

  async #each(ids: AsyncGenerator<string>, done: Set<string>): Promise<void> {
    await Promise.all(
      Array.from({ length: restoredAtOnce }, async () => {
        for (let next = await ids.next(); !next.done; next = await ids.next()) {
          if (done.has(next.value)) continue;
          done.add(next.value);
          await this.#one(next.value);
        }
      }),
    );
  }

  async #one(id: string): Promise<void> {
    const report = this.#report;
    const history = await this.#archive.read(id);
    if (!history) return this.#unusable(id, "no object of it can be used from its first line on");
    report.unreadable.push(...history.unreadable);
    if (!this.#shards.includes(shardOf(id))) {
      return this.#unusable(
        id,
        "it lives on a shard that this Redis has not got: it is of another kind than the lost one",
      );
    }
    const keptUntil = Number(history.fields["endedAt"] ?? 0) + this.#options.retentionMs;
    if (history.hasEnded && keptUntil <= this.#now) return;
    report.found++;
    try {
      this.#count(history, await restore(this.#scripts, history, { now: this.#now, keptUntil }));
    } catch (error) {
      // One that cannot be folded must not keep the others from coming back; without Redis none can.
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
      this.#unusable(id, error.message);
    }
    this.#options.onProgress?.(report);
  }

  #count(history: History, { outcome, released }: Restored): void {
    const report = this.#report;
    if (outcome === "present") {
      report.present++;
      return;
    }
    if (history.hasEnded) report.ended++;
    else report.open++;
    report.released += released.length;
    if (history.hasEnded) return;
    for (const journal of Object.values(history.journals)) {
      for (const text of Object.values(journal)) {
        const entry = JSON.parse(text) as JournalEntry;
        if ("intent" in entry) report.unproven[entry.intent.class]++;
      }
    }
  }

  #unusable(name: string, reason: string): void {
    this.#report.unreadable.push({ name, reason });
  }
}
