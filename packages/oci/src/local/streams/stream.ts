import { createHash, randomInt } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Refusal } from "../wire.ts";
import { Group } from "./group.ts";
import { PartitionLog } from "./partition-log.ts";

/** Of one answer with messages. */
const maxReadBytes = 1024 * 1024;

export const StreamFacts = z.object({
  id: z.string(),
  name: z.string(),
  partitions: z.int().min(1).max(200),
  compartmentId: z.string(),
  retentionInHours: z.int(),
  createdAt: z.iso.datetime(),
});
/** What is known of a stream beside its messages. */
export type StreamFacts = z.infer<typeof StreamFacts>;

const StoredGroups = z.record(z.string(), z.record(z.string(), z.int()));

/** A message as consumers get it, with its place. */
export interface PlacedMessage {
  partition: number;
  offset: number;
  key: string | null;
  value: string;
  at: number;
}

/** Where a cursor starts. */
export type Start =
  | { type: "TRIM_HORIZON" | "LATEST" }
  | { type: "AT_OFFSET" | "AFTER_OFFSET"; offset: number }
  | { type: "AT_TIME"; time: number };

/** A stream with its partitions and the groups that read it: a folder. */
export class Stream {
  readonly facts: StreamFacts;
  readonly #folder: string;
  readonly #partitions: PartitionLog[];
  readonly #groups = new Map<string, Group>();
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(facts: StreamFacts, folder: string, partitions: PartitionLog[]) {
    this.facts = facts;
    this.#folder = folder;
    this.#partitions = partitions;
  }

  static async create(facts: StreamFacts, folder: string): Promise<Stream> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "stream.json.incoming"), JSON.stringify(facts));
    await rename(join(folder, "stream.json.incoming"), join(folder, "stream.json"));
    return Stream.open(folder);
  }

  static async open(folder: string): Promise<Stream> {
    const facts = StreamFacts.parse(JSON.parse(await readFile(join(folder, "stream.json"), "utf8")));
    const logs = Array.from({ length: facts.partitions }, (_, number) =>
      PartitionLog.open(join(folder, `${number}.log`)),
    );
    const stream = new Stream(facts, folder, await Promise.all(logs));
    const stored = await readFile(join(folder, "groups.json"), "utf8").catch(() => "{}");
    for (const [name, committed] of Object.entries(StoredGroups.parse(JSON.parse(stored)))) {
      const offsets = Object.entries(committed).map(([partition, offset]) => [Number(partition), offset] as const);
      stream.#groups.set(name, new Group(name, new Map(offsets)));
    }
    return stream;
  }

  /** Stores messages, each in the partition of its key, and says where. Those of one key keep their order. */
  async put(messages: readonly { key: string | null; value: string }[], at: number): Promise<PlacedMessage[]> {
    const placed = messages.map((message) => ({
      ...message,
      at,
      partition: this.#partitionOf(message.key),
      offset: 0,
    }));
    await Promise.all(
      this.#partitions.map(async (log, number) => {
        const own = placed.filter(({ partition }) => partition === number);
        if (own.length === 0) return;
        const first = await log.append(own.map(({ key, value }) => ({ key, value, at })));
        for (const [index, message] of own.entries()) message.offset = first + index;
      }),
    );
    return placed;
  }

  /** Messages of one partition from the offset on. */
  async read(partition: number, offset: number, limit: number): Promise<PlacedMessage[]> {
    const messages = await this.#log(partition).read(offset, limit, maxReadBytes);
    return messages.map((message, index) => ({ ...message, partition, offset: offset + index }));
  }

  /** The offset at which a cursor of that type starts. */
  offsetOf(partition: number, start: Start): number {
    const log = this.#log(partition);
    switch (start.type) {
      case "TRIM_HORIZON":
        return 0;
      case "LATEST":
        return log.end;
      case "AT_OFFSET":
        return start.offset;
      case "AFTER_OFFSET":
        return start.offset + 1;
      case "AT_TIME":
        return log.offsetAt(start.time);
    }
  }

  /** The group, or undefined when no cursor for it was ever made. */
  group(name: string): Group | undefined {
    return this.#groups.get(name);
  }

  /** The group, made to start there if there is none. */
  async groupFrom(name: string, start: Start): Promise<Group> {
    const group = this.#groups.get(name) ?? new Group(name, this.offsetsOf(start));
    this.#groups.set(name, group);
    await this.saveGroups();
    return group;
  }

  /** Where every partition starts. */
  offsetsOf(start: Start): Map<number, number> {
    return new Map(this.#partitions.map((_, partition) => [partition, this.offsetOf(partition, start)]));
  }

  /** Puts on disk what is committed. */
  saveGroups(): Promise<void> {
    const saved = this.#saving.then(async () => {
      const groups = [...this.#groups].map(([name, group]) => [name, Object.fromEntries(group.committed)]);
      await writeFile(join(this.#folder, "groups.json.incoming"), JSON.stringify(Object.fromEntries(groups)));
      await rename(join(this.#folder, "groups.json.incoming"), join(this.#folder, "groups.json"));
    });
    this.#saving = saved.catch(() => {});
    return saved;
  }

  async close(): Promise<void> {
    await this.#saving;
    await Promise.all(this.#partitions.map((log) => log.close()));
  }

  #log(partition: number): PartitionLog {
    const log = this.#partitions[partition];
    if (!log) throw new Refusal(404, "NotAuthorizedOrNotFound", `there is no partition ${partition}`);
    return log;
  }

  #partitionOf(key: string | null): number {
    if (key === null) return randomInt(this.#partitions.length);
    return createHash("md5").update(key).digest().readUInt32BE() % this.#partitions.length;
  }
}
