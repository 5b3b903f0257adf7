import type { ListedObject, Archive } from "@flotilla/workflow";
import type { Line } from "../log.ts";
import {
  type ArchiveRecord,
  decodeRecord,
  encodeRecord,
  endedPrefix,
  openPrefix,
  placeOf,
  readObject,
} from "./record.ts";

/** Checkpoints of a workflow that are kept: should the last be torn, the one before it serves. */
const checkpointsKept = 3;

/** All that the archive knows of a workflow. */
export interface History extends Pick<ArchiveRecord, "journals" | "outputs" | "fields" | "at" | "idempotency"> {
  id: string;
  incarnation: number;
  hasEnded: boolean;
  /** From the first on, without a gap. */
  lines: readonly Line[];
  /** Objects that could not be read, and what is wrong with them. */
  unreadable: readonly { name: string; reason: string }[];
}

/** The objects of the archive: written behind the work, read when Redis has forgotten or lost a workflow. */
export class WorkflowArchive {
  readonly #objects: Archive;

  constructor(objects: Archive) {
    this.#objects = objects;
  }

  /**
   * Writes a record. After a checkpoint what it makes superfluous is removed; after an end all else, where the workflow
   * was written before (`isKnown`).
   */
  async write(record: ArchiveRecord, isKnown: boolean): Promise<void> {
    const { name, content } = await encodeRecord(record);
    await this.#objects.put(name, content);
    if (record.kind === "checkpoint") await this.#removeSuperfluous(record.workflowId);
    if (record.kind === "end" && isKnown) await this.#removeEarlier(record.workflowId, name);
  }

  /** What is known of a workflow; undefined where nothing is, or nothing that can be read from the first line on. */
  async read(id: string): Promise<History | undefined> {
    const entries = [...(await this.#list(endedPrefix(id))), ...(await this.#list(openPrefix(id)))];
    if (entries.length === 0) return undefined;
    return this.#merge(id, entries);
  }

  /** Ids of the workflows that were open when they were last written, in order. */
  open(): AsyncGenerator<string> {
    return this.#ids("open/");
  }

  /** Ids of those that have ended, in order. */
  ended(): AsyncGenerator<string> {
    return this.#ids("ended/");
  }

  /** Removes the ends that were written before `before`, in ms since the epoch; answers how many. */
  async prune(before: number): Promise<number> {
    let removed = 0;
    for await (const { name, at } of this.#objects.list("ended/")) {
      if (at >= before) continue;
      await this.#objects.delete(name);
      removed++;
    }
    return removed;
  }

  async *#ids(prefix: string): AsyncGenerator<string> {
    let last: string | undefined;
    for await (const { name } of this.#objects.list(prefix)) {
      const id = name.split("/")[1];
      if (placeOf(name) === undefined || id === undefined || id === last) continue;
      last = id;
      yield id;
    }
  }

  async #list(prefix: string): Promise<ListedObject[]> {
    const entries: ListedObject[] = [];
    for await (const entry of this.#objects.list(prefix)) entries.push(entry);
    return entries;
  }

  async #merge(id: string, entries: readonly ListedObject[]): Promise<History | undefined> {
    const unreadable: { name: string; reason: string }[] = [];
    const read = async ({ name }: ListedObject): Promise<ArchiveRecord[]> => {
      try {
        const content = await readObject(this.#objects, name);
        // Removed meanwhile: what makes it superfluous is there, or will be when this is read again.
        return content ? [await decodeRecord(name, content)] : [];
      } catch (error) {
        unreadable.push({ name, reason: error instanceof Error ? error.message : String(error) });
        return [];
      }
    };
    const records = (await Promise.all(entries.map(read))).flat();
    return mergeRecords(id, records, unreadable);
  }

  async #removeSuperfluous(id: string): Promise<void> {
    const entries = (await this.#list(openPrefix(id))).map(({ name }) => ({ name, place: placeOf(name) }));
    const isCheckpoint = ({ place }: (typeof entries)[number]) => place?.kind === "checkpoint";
    const oldestKept = entries.filter(isCheckpoint).toSorted(byPlace).at(-checkpointsKept)?.place;
    if (!oldestKept) return;
    const isOld = ({ place }: (typeof entries)[number]) => place !== undefined && comparePlaces(place, oldestKept) < 0;
    await Promise.all(entries.filter(isOld).map(({ name }) => this.#objects.delete(name)));
  }

  async #removeEarlier(id: string, latest: string): Promise<void> {
    const entries = [...(await this.#list(openPrefix(id))), ...(await this.#list(endedPrefix(id)))];
    await Promise.all(entries.filter(({ name }) => name !== latest).map(({ name }) => this.#objects.delete(name)));
  }
}

interface Placed {
  incarnation: number;
  to: number;
}

function comparePlaces(a: Placed, b: Placed): number {
  return a.incarnation - b.incarnation || a.to - b.to;
}

function byPlace(a: { place: Placed | undefined }, b: { place: Placed | undefined }): number {
  return a.place && b.place ? comparePlaces(a.place, b.place) : 0;
}

/**
 * One history of what could be read. A later incarnation is right about every line from the first of its own on; what
 * stands beside the log is that of the last record which the lines reach without a gap.
 */
export function mergeRecords(
  id: string,
  records: readonly ArchiveRecord[],
  unreadable: History["unreadable"],
): History | undefined {
  const lines: Line[] = [];
  const journals: History["journals"] = {};
  const outputs: History["outputs"] = {};
  let last: ArchiveRecord | undefined;
  for (const record of records.toSorted((a, b) => comparePlaces(a, b) || a.at - b.at)) {
    if (record.from > lines.length + 1) continue;
    if (last && record.incarnation > last.incarnation) lines.length = record.from - 1;
    for (const [seq, at, text] of record.lines) lines[seq - 1] = { seq, at, text };
    Object.assign(journals, record.journals);
    Object.assign(outputs, record.outputs);
    last = record;
  }
  if (!last) return undefined;
  const { incarnation, fields, at, kind, idempotency } = last;
  return {
    id,
    incarnation,
    hasEnded: kind === "end",
    fields,
    at,
    lines,
    journals,
    outputs,
    unreadable,
    ...(idempotency && { idempotency }),
  };
}
