import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger, Metrics } from "@flotilla/runtime";
import type { StreamMessage, StreamWriter } from "@flotilla/workflow";
import { shardTag, tagOf } from "../keys.ts";
import { parseLines } from "../log.ts";
import type { Reply, Scripts } from "../scripts.ts";
import { messageOf } from "./event-message.ts";

/** How often it looks for what is new, in ms. */
const pollMs = 250;

/** How long it waits after the stream, or Redis, could not be reached, in ms. */
const patienceMs = 1000;

/** A supervisor that has not come back to a shard within this time leaves it to others, in ms. */
const holdMs = 5000;

/** Of a shard at once; what the last workflow brings comes on top of the bytes. */
const mostWorkflows = 200;
const mostLines = 1000;
const mostBytes = 1024 * 1024;

/** How long what is under way may take when the process stops; what is cut off is appended again by another one. */
const finishWithinMs = 1000;

/** How often the lag is told, in ms: it grows also while an append waits for its stream. */
const tellEveryMs = 500;

export interface ExporterDeps {
  scripts: Scripts;
  events: StreamWriter;
  shards: readonly string[];
  metrics: Metrics;
  logger: Logger;
}

/** What one round takes: the messages, and up to which line they bring each workflow. */
interface Load {
  messages: StreamMessage[];
  places: { id: string; seq: number }[];
  lateMs: number;
  hasMore: boolean;
}

/**
 * Appends every event that is archived to a stream, each at least once, those of a workflow in the order of their `seq`
 * when each is counted where it first appears. Only what is archived is exported: a rebuild takes back nothing that the
 * stream has told. One supervisor at a time exports a shard; two that do, because one was thought dead, only repeat.
 */
export class Exporter {
  readonly #deps: ExporterDeps;
  readonly #holder = randomUUID();
  readonly #stopping = new AbortController();
  readonly #cut = new AbortController();
  /** How long something had been waiting at that moment of `performance.now()`; undefined while nobody knows. */
  #lag: { ms: number; at: number } | undefined;
  #teller: NodeJS.Timeout | undefined;
  #loop: Promise<void> | undefined;

  constructor(deps: ExporterDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#teller = setInterval(() => this.#tell(), tellEveryMs).unref();
    this.#loop = this.#run();
  }

  /** Resolves when nothing is under way; what has been taken and not appended comes again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const timer = setTimeout(() => this.#cut.abort(), finishWithinMs);
    await this.#loop;
    clearTimeout(timer);
    clearInterval(this.#teller);
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      let pauseMs = 0;
      try {
        // What was not appended is asked for again: meanwhile another supervisor may have done it.
        const load = await this.#take();
        await this.#append(load);
        if (!load.hasMore) pauseMs = pollMs;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        this.#deps.logger.warn({ err: error }, "the export is behind");
        pauseMs = patienceMs;
      }
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  async #take(): Promise<Load> {
    const load: Load = { messages: [], places: [], lateMs: 0, hasMore: false };
    const args = [this.#holder, holdMs, mostWorkflows, mostLines, mostBytes];
    try {
      await Promise.all(
        this.#deps.shards.map(async (shard) => {
          addTo(load, await this.#deps.scripts.call("export", shardTag(shard), args));
        }),
      );
    } catch (error) {
      // An old number would hide those of other supervisors.
      this.#lag = undefined;
      this.#deps.metrics.exportLagSeconds.remove();
      throw error;
    }
    this.#lag = { ms: load.lateMs, at: performance.now() };
    this.#tell();
    return load;
  }

  async #append({ messages, places }: Load): Promise<void> {
    if (messages.length === 0) return;
    await this.#deps.events.append(messages, this.#cut.signal);
    this.#deps.metrics.exportedEvents.inc(messages.length);
    await Promise.all(places.map(({ id, seq }) => this.#deps.scripts.item("exported", tagOf(id), [id, seq])));
  }

  #tell(): void {
    if (!this.#lag) return;
    const { ms, at } = this.#lag;
    // What waits for nothing grows no older.
    this.#deps.metrics.exportLagSeconds.set(ms === 0 ? 0 : (ms + performance.now() - at) / 1000);
  }
}

function addTo(load: Load, reply: Reply): void {
  // See the header of lua/export.lua for the shape.
  const [lateMs, more, ...workflows] = reply as [number, number, ...[string, string, number, Reply][]];
  load.lateMs = Math.max(load.lateMs, lateMs);
  load.hasMore ||= more === 1;
  for (const [id, tenant, incarnation, found] of workflows) {
    const lines = parseLines(found);
    const last = lines.at(-1);
    if (!last) continue;
    load.messages.push(...lines.map((line) => messageOf({ id, tenant, incarnation }, line)));
    load.places.push({ id, seq: last.seq });
  }
}
