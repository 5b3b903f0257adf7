import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Refusal } from "../wire.ts";
import type { Bucket, Condition } from "./bucket.ts";
import { type ObjectFacts, readFacts, readObject, writeObject } from "./object-file.ts";

const UploadFacts = z.object({
  id: z.string(),
  name: z.string(),
  contentType: z.string(),
  meta: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
});
/** An upload in parts that has begun. */
export type UploadFacts = z.infer<typeof UploadFacts>;

/** A part that is held. */
export interface Part {
  number: number;
  facts: ObjectFacts;
}

/** Uploads in parts to one bucket: a folder each, with a file for each part, until they are committed or aborted. */
export class Uploads {
  readonly #folder: string;
  readonly #bucket: Bucket;
  readonly #minPartBytes: number;

  /** Every part but the last has at least `minPartBytes`. */
  constructor(folder: string, bucket: Bucket, minPartBytes: number) {
    this.#folder = join(folder, "uploads");
    this.#bucket = bucket;
    this.#minPartBytes = minPartBytes;
  }

  async create(upload: Pick<UploadFacts, "name" | "contentType" | "meta">): Promise<UploadFacts> {
    const facts = { ...upload, id: randomUUID(), createdAt: new Date().toISOString() };
    await mkdir(this.#folderOf(facts.id), { recursive: true });
    await writeFile(join(this.#folderOf(facts.id), "upload.json"), JSON.stringify(facts));
    return facts;
  }

  /** Stores a part, or replaces the one of that number; `check` may refuse it by its facts. */
  async putPart(
    { id, name, number }: { id: string; name: string; number: number },
    content: AsyncIterable<Uint8Array>,
    check: (facts: ObjectFacts) => void,
  ): Promise<ObjectFacts> {
    await this.find(id, name);
    const unfinished = join(this.#folderOf(id), `incoming-${randomUUID()}`);
    try {
      const facts = await writeObject(unfinished, content, { name, contentType: "", meta: {} });
      check(facts);
      await rename(unfinished, join(this.#folderOf(id), String(number)));
      return facts;
    } finally {
      await rm(unfinished, { force: true });
    }
  }

  /** Makes one object of the parts that are named, in the order of their numbers; the others are dropped. */
  async commit(
    id: string,
    name: string,
    chosen: readonly { partNum: number; etag: string }[],
    condition: Condition,
  ): Promise<ObjectFacts> {
    const upload = await this.find(id, name);
    const held = new Map((await this.parts(id)).map((part) => [part.number, part]));
    const parts = chosen
      .toSorted((a, b) => a.partNum - b.partNum)
      .map(({ partNum, etag }) => {
        const part = held.get(partNum);
        if (part?.facts.etag !== etag) throw badPart(`part ${partNum} is not held with that ETag`);
        return part;
      });
    if (parts.length === 0) throw badPart("there is no part to commit");
    if (parts.slice(0, -1).some(({ facts }) => facts.bytes < this.#minPartBytes)) {
      throw badPart(`only the last part may be under ${this.#minPartBytes} bytes`);
    }
    const facts = await this.#bucket.put(this.#bytesOf(id, parts), upload, condition, { multipartMd5: md5Of(parts) });
    await this.#remove(id);
    return facts;
  }

  async abort(id: string, name: string): Promise<void> {
    await this.find(id, name);
    await this.#remove(id);
  }

  /** The parts that are held, in the order of their numbers. */
  async parts(id: string): Promise<Part[]> {
    const numbers = (await readdir(this.#folderOf(id))).filter((file) => /^\d+$/.test(file)).map(Number);
    const parts = numbers
      .toSorted((a, b) => a - b)
      .map(async (number) => {
        const facts = await readFacts(join(this.#folderOf(id), String(number)));
        return facts && { number, facts };
      });
    return (await Promise.all(parts)).filter((part) => part !== undefined);
  }

  /** The upload, or the refusal 404. */
  async find(id: string, name: string): Promise<UploadFacts> {
    const upload = (await this.list()).find((upload) => upload.id === id && upload.name === name);
    if (!upload) throw new Refusal(404, "NoSuchUpload", "There is no such multipart upload");
    return upload;
  }

  /** All uploads that have begun, the oldest first. */
  async list(): Promise<UploadFacts[]> {
    await mkdir(this.#folder, { recursive: true });
    const found = (await readdir(this.#folder)).map(async (id) => {
      try {
        return UploadFacts.parse(JSON.parse(await readFile(join(this.#folderOf(id), "upload.json"), "utf8")));
      } catch {
        return undefined;
      }
    });
    const uploads = (await Promise.all(found)).filter((upload) => upload !== undefined);
    return uploads.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt));
  }

  /** The facts first: without them a folder that was half removed is no upload. */
  async #remove(id: string): Promise<void> {
    await rm(join(this.#folderOf(id), "upload.json"));
    await rm(this.#folderOf(id), { recursive: true });
  }

  async *#bytesOf(id: string, parts: readonly Part[]): AsyncGenerator<Uint8Array> {
    for (const { number, facts } of parts) {
      yield* await readObject(join(this.#folderOf(id), String(number)), 0, facts.bytes - 1);
    }
  }

  #folderOf(id: string): string {
    return join(this.#folder, id);
  }
}

function md5Of(parts: readonly Part[]): string {
  const md5 = createHash("md5");
  for (const { facts } of parts) md5.update(Buffer.from(facts.md5, "base64"));
  return `${md5.digest("base64")}-${parts.length}`;
}

function badPart(message: string): Refusal {
  return new Refusal(400, "InvalidUploadPart", message);
}
