import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Archive,
  type ArchivedObject,
  expectArchiveName,
  type PutCondition,
  type PutOutcome,
} from "@flotilla/workflow";
import { syncFolder, writeSynced } from "./durable-file.ts";
import { hasCode, withFileLock } from "./file-lock.ts";

/** No name ends with this, so an object and a folder of the same name do not meet. */
const suffix = "@";

/** An archive as files below `<directory>/objects`, shared by all processes that see the directory. */
export function createFileArchive(directory: string): Archive {
  const root = join(directory, "objects");
  const objects = join(root, "named");
  const incoming = join(root, "incoming");
  const fileOf = (name: string) => {
    expectArchiveName(name);
    return join(objects, `${name}${suffix}`);
  };
  const locked = async <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    await mkdir(incoming, { recursive: true });
    return withFileLock(join(incoming, "lock"), work, signal);
  };

  return {
    async put(name, content, condition, signal) {
      signal?.throwIfAborted();
      const file = fileOf(name);
      await mkdir(incoming, { recursive: true });
      const unfinished = join(incoming, randomUUID());
      try {
        await writeSynced(unfinished, content, signal);
        return await locked(() => publish(unfinished, file, condition), signal);
      } finally {
        await rm(unfinished, { force: true });
      }
    },

    async get(name, signal) {
      signal?.throwIfAborted();
      const facts = await factsOf(name, fileOf(name));
      return facts && { ...facts, content: read(fileOf(name), facts.tag, signal) };
    },

    async *list(prefix, { after = "" } = {}, signal) {
      const names = (await namesIn(objects)).filter((name) => name.startsWith(prefix) && name > after);
      for (const name of names.toSorted()) {
        signal?.throwIfAborted();
        const facts = await factsOf(name, fileOf(name));
        if (facts) yield facts;
      }
    },

    async delete(name, signal) {
      signal?.throwIfAborted();
      const file = fileOf(name);
      return locked(async () => {
        const isThere = (await factsOf(name, file)) !== undefined;
        await rm(file, { force: true });
        return isThere;
      }, signal);
    },
  };
}

/** Gives the finished file its name, under the lock: nobody comes between the condition and the name. */
async function publish(unfinished: string, file: string, condition: PutCondition | undefined): Promise<PutOutcome> {
  const current = await factsOf("", file);
  if (condition?.kind === "absent" && current) return { kind: "conflict" };
  if (condition?.kind === "match" && condition.tag !== current?.tag) return { kind: "conflict" };
  await mkdir(dirname(file), { recursive: true });
  await rename(unfinished, file);
  await syncFolder(dirname(file));
  return { kind: "stored", tag: tagOf(await stat(file, { bigint: true })) };
}

async function factsOf(name: string, file: string): Promise<ArchivedObject | undefined> {
  try {
    const facts = await stat(file, { bigint: true });
    return { name, bytes: Number(facts.size), tag: tagOf(facts) };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Each put is a file of its own; one that got the number of a file that is gone has another time. */
function tagOf({ ino, mtimeNs }: { ino: bigint; mtimeNs: bigint }): string {
  return `${ino.toString(36)}-${mtimeNs.toString(36)}`;
}

/** Opens the file only when reading begins: an answer that nobody reads holds no descriptor. */
async function* read(file: string, tag: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  await using handle = await open(file, "r");
  if (tagOf(await handle.stat({ bigint: true })) !== tag) throw new Error("the object was replaced before it was read");
  yield* handle.createReadStream({ autoClose: false, ...(signal && { signal }) });
}

/** All names below a folder; a folder that vanishes meanwhile has none. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(suffix));
    return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1, -suffix.length));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}
