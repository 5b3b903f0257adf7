import { createHash, randomUUID } from "node:crypto";
import { renameSync, rmSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "../wire.ts";
import { type ObjectDescription, type ObjectFacts, readFacts, readObject, writeObject } from "./object-file.ts";

/** What must hold of the object that is there, for the request to be done. */
export interface Condition {
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
}

/** What a listing asks for; `start` is the first name that may come, `end` the first that may not. */
export interface Listing {
  prefix: string;
  start: string | undefined;
  startAfter: string | undefined;
  end: string | undefined;
  delimiter: string | undefined;
  limit: number;
}

/** A page: objects and common prefixes in the order of names, and where the next page starts. */
export interface Page {
  objects: ObjectFacts[];
  prefixes: string[];
  nextStartWith?: string;
}

/**
 * The objects of one bucket: files named by the hash of their name, and an index of them in memory. An object is there
 * whole or not at all, whenever the process is killed.
 */
export class Bucket {
  readonly #folder: string;
  readonly #objects = new Map<string, ObjectFacts>();
  /** In order, for listings. */
  readonly #names: string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** The bucket in that folder, which is made if there is none; what was never finished is removed. */
  static async open(folder: string): Promise<Bucket> {
    const bucket = new Bucket(folder);
    await rm(bucket.#incoming, { recursive: true, force: true });
    await mkdir(bucket.#incoming, { recursive: true });
    await mkdir(join(folder, "objects"), { recursive: true });
    for (const file of await readdir(join(folder, "objects"))) {
      const facts = await readFacts(join(folder, "objects", file));
      if (facts) bucket.#remember(facts);
    }
    return bucket;
  }

  /** Where files lie that are not objects yet; empty after a start. */
  get #incoming(): string {
    return join(this.#folder, "incoming");
  }

  /** The object, or the refusal 404, 412 or 304. */
  find(name: string, { ifMatch, ifNoneMatch }: Condition = {}): ObjectFacts {
    const facts = this.#objects.get(name);
    if (!facts) throw new Refusal(404, "ObjectNotFound", `The object '${name}' was not found`);
    if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== facts.etag) throw mismatch();
    if (ifNoneMatch !== undefined && (ifNoneMatch === "*" || ifNoneMatch === facts.etag)) {
      throw new Refusal(304, "NotModified", "");
    }
    return facts;
  }

  /** The bytes of an object that was found. */
  read(facts: ObjectFacts, start: number, end: number): Promise<AsyncIterable<Uint8Array>> {
    return readObject(this.#fileOf(facts.name), start, end);
  }

  /** Stores an object, if the condition holds when all of it is here; `check` may still refuse it by its facts. */
  async put(
    content: AsyncIterable<Uint8Array>,
    description: ObjectDescription,
    condition: Condition,
    { multipartMd5, check }: { multipartMd5?: string; check?: (facts: ObjectFacts) => void } = {},
  ): Promise<ObjectFacts> {
    const unfinished = join(this.#incoming, randomUUID());
    try {
      const facts = await writeObject(unfinished, content, description, multipartMd5);
      check?.(facts);
      this.expect(description.name, condition);
      // No turn of the event loop lies between the condition and its rename: of two that race, one is refused.
      renameSync(unfinished, this.#fileOf(facts.name));
      this.#remember(facts);
      return facts;
    } finally {
      await rm(unfinished, { force: true });
    }
  }

  /** Gives an object another name: it is under the old one or under the new one, whenever the process is killed. */
  async rename(name: string, newName: string, condition: Condition): Promise<ObjectFacts> {
    const source = this.find(name);
    const content = await this.read(source, 0, source.bytes - 1);
    const { contentType, meta, md5, multipart } = source;
    const description = { name: newName, contentType, meta };
    const facts = await this.put(content, description, condition, multipart ? { multipartMd5: md5 } : {});
    this.delete(name, {});
    return facts;
  }

  /** Refuses with 412 unless the condition of a write holds. */
  expect(name: string, { ifMatch, ifNoneMatch }: Condition): void {
    const current = this.#objects.get(name);
    if (ifNoneMatch !== undefined && current) {
      throw new Refusal(412, "IfNoneMatchFailed", "The If-None-Match header is '*', and the object exists");
    }
    if (ifMatch !== undefined && (!current || (ifMatch !== "*" && ifMatch !== current.etag))) throw mismatch();
  }

  /** Removes an object, or refuses with 404 or 412. */
  delete(name: string, condition: Condition): void {
    this.find(name, condition);
    rmSync(this.#fileOf(name));
    this.#objects.delete(name);
    this.#names.splice(this.#placeOf(name), 1);
  }

  /** One page. A name that holds the delimiter after the prefix counts as the prefix up to it. */
  list({ prefix, start, startAfter, end, delimiter, limit }: Listing): Page {
    const objects: ObjectFacts[] = [];
    const prefixes: string[] = [];
    const first = [prefix, start ?? "", startAfter ?? ""].toSorted().at(-1) ?? "";
    for (let place = this.#placeOf(first); ;) {
      const name = this.#names[place];
      if (name === undefined || !name.startsWith(prefix) || (end !== undefined && name >= end)) break;
      if (name === startAfter) {
        place += 1;
        continue;
      }
      if (objects.length + prefixes.length === limit) return { objects, prefixes, nextStartWith: name };
      const cut = delimiter === undefined ? -1 : name.indexOf(delimiter, prefix.length);
      const facts = this.#objects.get(name);
      if (cut === -1) {
        if (facts) objects.push(facts);
        place += 1;
      } else {
        const common = name.slice(0, cut + 1);
        prefixes.push(common);
        place = this.#placeOf(`${common}\uffff`);
      }
    }
    return { objects, prefixes };
  }

  #remember(facts: ObjectFacts): void {
    if (!this.#objects.has(facts.name)) this.#names.splice(this.#placeOf(facts.name), 0, facts.name);
    this.#objects.set(facts.name, facts);
  }

  /** Where the name is among the names, or would be. */
  #placeOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Names may be longer than those of files, and hold any character. */
  #fileOf(name: string): string {
    return join(this.#folder, "objects", createHash("sha256").update(name).digest("hex"));
  }
}

function mismatch(): Refusal {
  return new Refusal(412, "IfMatchFailed", "The If-Match header does not match the ETag of the object");
}
