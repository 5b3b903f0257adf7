import { randomUUID } from "node:crypto";
import { access, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "../wire.ts";
import { Stream, type StreamFacts } from "./stream.ts";

/** All streams: a folder each, named by the end of its OCID. */
export class Streams {
  readonly #folder: string;
  readonly #held = new Map<string, Stream>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<Streams> {
    await mkdir(folder, { recursive: true });
    const streams = new Streams(folder);
    for (const name of await readdir(folder)) {
      // One that was being made when the process was killed was never acknowledged.
      const exists = await access(join(folder, name, "stream.json")).then(
        () => true,
        () => false,
      );
      if (exists) streams.#hold(await Stream.open(join(folder, name)));
    }
    return streams;
  }

  get all(): Stream[] {
    return [...this.#held.values()].toSorted((a, b) => a.facts.createdAt.localeCompare(b.facts.createdAt));
  }

  /** The stream, or the refusal 404. */
  find(id: string): Stream {
    const stream = this.#held.get(id);
    if (!stream)
      throw new Refusal(404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.");
    return stream;
  }

  /** Makes a stream; several may have one name. */
  async create(details: Omit<StreamFacts, "id" | "createdAt">): Promise<Stream> {
    const unique = randomUUID().replaceAll("-", "");
    const facts = { ...details, id: `ocid1.stream.oc1.local.${unique}`, createdAt: new Date().toISOString() };
    return this.#hold(await Stream.create(facts, join(this.#folder, unique)));
  }

  /** Makes the stream of that id, with one partition, where there is none. */
  async ensure(id: string): Promise<void> {
    if (this.#held.has(id)) return;
    const facts = { id, name: id, partitions: 1, compartmentId: "local", retentionInHours: 24 };
    this.#hold(await Stream.create({ ...facts, createdAt: new Date().toISOString() }, join(this.#folder, id)));
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((stream) => stream.close()));
  }

  #hold(stream: Stream): Stream {
    this.#held.set(stream.facts.id, stream);
    return stream;
  }
}
