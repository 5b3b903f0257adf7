import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Refusal } from "../wire.ts";
import { Bucket } from "./bucket.ts";
import { Uploads } from "./uploads.ts";

const BucketFacts = z.object({ name: z.string(), compartmentId: z.string(), createdAt: z.iso.datetime() });

/** A bucket with what it holds. */
export interface HeldBucket {
  facts: z.infer<typeof BucketFacts>;
  objects: Bucket;
  uploads: Uploads;
}

/** The buckets of the one namespace: a folder each. */
export class Buckets {
  readonly #folder: string;
  readonly #minPartBytes: number;
  readonly #held = new Map<string, HeldBucket>();
  /** Those that are being made too. */
  readonly #names = new Set<string>();

  private constructor(folder: string, minPartBytes: number) {
    this.#folder = folder;
    this.#minPartBytes = minPartBytes;
  }

  static async open(folder: string, minPartBytes: number): Promise<Buckets> {
    await mkdir(folder, { recursive: true });
    const buckets = new Buckets(folder, minPartBytes);
    for (const name of await readdir(folder)) {
      const text = await readFile(join(folder, name, "bucket.json"), "utf8").catch(() => undefined);
      if (text !== undefined) await buckets.#hold(BucketFacts.parse(JSON.parse(text)));
    }
    return buckets;
  }

  /** The bucket, or the refusal 404. */
  find(name: string): HeldBucket {
    const bucket = this.#held.get(name);
    if (!bucket)
      throw new Refusal(
        404,
        "BucketNotFound",
        `Either the bucket named '${name}' does not exist or you are not authorized to access it`,
      );
    return bucket;
  }

  /** Makes the bucket, or refuses with 409. */
  async create(name: string, compartmentId: string): Promise<HeldBucket> {
    if (this.#names.has(name)) {
      throw new Refusal(
        409,
        "BucketAlreadyExists",
        `Either the bucket "${name}" in namespace already exists or you are not authorized to create it`,
      );
    }
    this.#names.add(name);
    const facts = { name, compartmentId, createdAt: new Date().toISOString() };
    const file = join(this.#folder, name, "bucket.json");
    await mkdir(join(this.#folder, name), { recursive: true });
    await writeFile(`${file}.incoming`, JSON.stringify(facts));
    await rename(`${file}.incoming`, file);
    return this.#hold(facts);
  }

  async #hold(facts: HeldBucket["facts"]): Promise<HeldBucket> {
    const folder = join(this.#folder, facts.name);
    const objects = await Bucket.open(folder);
    const bucket = { facts, objects, uploads: new Uploads(folder, objects, this.#minPartBytes) };
    this.#held.set(facts.name, bucket);
    this.#names.add(facts.name);
    return bucket;
  }
}
