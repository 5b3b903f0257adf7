import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Archive } from "@flotilla/workflow";
import { z } from "zod";

/** What an archive object holds; see `ArchiveRecord`. */
const Lines = z.array(z.tuple([z.int(), z.int(), z.string()]));

/**
 * One object of the archive: a workflow at line `to`. A `tail` holds what came since the object before it, a
 * `checkpoint` and an `end` hold all. Journals and outputs are whole, each as Redis has it.
 */
export const ArchiveRecord = z.object({
  format: z.literal(1),
  kind: z.enum(["tail", "checkpoint", "end"]),
  /** Why it was written: `planning_complete`, `phase_<name>_complete`, `interval`; none for a tail. */
  labels: z.array(z.string()),
  workflowId: z.string(),
  /** 1, and one more after each rebuild: of two objects that disagree, the later incarnation is right. */
  incarnation: z.int().min(1),
  from: z.int(),
  to: z.int(),
  /** Redis time of the snapshot, in ms. */
  at: z.int(),
  /** The index without specs and input, which the log holds. */
  fields: z.record(z.string(), z.string()),
  /** Place, Redis time in ms, event (JSON). */
  lines: Lines,
  /** By task and key of the step. */
  journals: z.record(z.string(), z.record(z.string(), z.string())),
  /** By task, as lua/outputs.lua answers them. */
  outputs: z.record(z.string(), z.string()),
  /** The idempotency key of its submit: what Redis holds under it, and until when (ms since the epoch). */
  idempotency: z.object({ value: z.string(), until: z.int() }).exactOptional(),
});
export type ArchiveRecord = z.infer<typeof ArchiveRecord>;

const compress = promisify<Buffer, { level: number }, Buffer>(gzip);
const expand = promisify<Uint8Array, Buffer>(gunzip);

/** The object of a record: JSON, gzipped, under a name that ends in the hash of these bytes. */
export async function encodeRecord(record: ArchiveRecord): Promise<{ name: string; content: Uint8Array }> {
  const content = await compress(Buffer.from(JSON.stringify(record)), { level: 1 });
  return { name: `${nameOf(record)}.${hashOf(content)}.json.gz`, content };
}

/** The record of an object. Throws where the bytes are not those that the name was given to. */
export async function decodeRecord(name: string, content: Uint8Array): Promise<ArchiveRecord> {
  if (!name.endsWith(`.${hashOf(content)}.json.gz`)) throw new Error("its bytes are not those that were written");
  const record = ArchiveRecord.parse(JSON.parse((await expand(content)).toString("utf8")));
  if (!name.startsWith(nameOf(record))) throw new Error("it stands under the name of another one");
  return record;
}

/** The bytes of an object; undefined where there is none. */
export async function readObject(objects: Archive, name: string): Promise<Buffer | undefined> {
  const found = await objects.get(name);
  if (!found) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of found.content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Prefix of what is kept of a workflow while it is open, and of its end. */
export const openPrefix = (workflowId: string) => `open/${workflowId}/`;
export const endedPrefix = (workflowId: string) => `ended/${workflowId}/`;

/** What the name of an object says. */
export interface ObjectPlace {
  kind: ArchiveRecord["kind"];
  incarnation: number;
  to: number;
}

const namePattern = /^(open|ended)\/wf_[0-9a-z]{2}_[0-9a-z]{26}\/(\d{4})\.(?:(\d{8})-)?(\d{8})\./;

/** Undefined for a name that no record has. */
export function placeOf(name: string): ObjectPlace | undefined {
  const [, folder, incarnation, from, to] = namePattern.exec(name) ?? [];
  if (folder === undefined) return undefined;
  const kind = folder === "ended" ? "end" : from === undefined ? "checkpoint" : "tail";
  return { kind, incarnation: Number(incarnation), to: Number(to) };
}

function nameOf({ kind, labels, workflowId, incarnation, from, to }: ArchiveRecord): string {
  const number = String(incarnation).padStart(4, "0");
  const place = (seq: number) => String(seq).padStart(8, "0");
  switch (kind) {
    case "tail":
      return `${openPrefix(workflowId)}${number}.${place(from)}-${place(to)}`;
    case "checkpoint":
      return `${openPrefix(workflowId)}${number}.${place(to)}.${labels.at(-1) ?? "interval"}`;
    case "end":
      return `${endedPrefix(workflowId)}${number}.${place(to)}`;
  }
}

function hashOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 32);
}
