import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Archive,
  expectArchiveName,
  type ListedObject,
  type PutCondition,
  StoreUnavailableError,
} from "@flotilla/workflow";
import { isFull, syncFolder, writeSynced } from "./durable-file.ts";
import { hasCode, withFileLock } from "./file-lock.ts";

/** No name ends with this, so an object and a folder of the same name do not meet. */
const suffix = "@";

/** An archive as files below `<directory>/archive`, shared by all processes that see the directory. */
export function createFileArchive(directory: string): Archive {
  const root = join(directory, "archive");
  const incoming = join(directory, "archive-incoming");
  const fileOf = (name: string) => {
    expectArchiveName(name);
    return join(root, `${name}${suffix}`);
  };

  return {
    async put(name, content, condition, signal) {
      signal?.throwIfAborted();
      const file = fileOf(name);
      const unfinished = join(incoming, randomUUID());
      try {
        await inFolder(unfinished, () => writeSynced(unfinished, content, signal));
        const publish = () => moveTo(unfinished, file, condition);
        const isStored =
          condition?.kind === "match" ? await withFileLock(join(incoming, "lock"), publish, signal) : await publish();
        if (!isStored) return { kind: "conflict" };
        return { kind: "stored", tag: tagOf(await stat(file, { bigint: true })) };
      } catch (error) {
        throw isFull(error) ? new StoreUnavailableError({ cause: error }) : error;
      } finally {
        await rm(unfinished, { force: true });
      }
    },

    async get(name, signal) {
      signal?.throwIfAborted();
      const file = fileOf(name);
      const facts = await factsOf(file);
      return facts && { name, bytes: facts.bytes, tag: facts.tag, content: read(file, facts.tag, signal) };
    },

    list(prefix, { after = "" } = {}, signal) {
      const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      return list({ root, prefix, after, ...(signal && { signal }) }, folder);
    },

    async delete(name, signal) {
      signal?.throwIfAborted();
      const file = fileOf(name);
      const isThere = (await factsOf(file)) !== undefined;
      await rm(file, { force: true });
      await removeIfEmpty(dirname(file));
      return isThere;
    },
  };
}

/** Gives the finished file its name, if the condition holds. */
async function moveTo(unfinished: string, file: string, condition: PutCondition | undefined): Promise<boolean> {
  if (condition?.kind === "match" && condition.tag !== (await factsOf(file))?.tag) return false;
  try {
    // A link is refused where there is a file, which a rename would replace.
    await inFolder(file, () => (condition?.kind === "absent" ? link(unfinished, file) : rename(unfinished, file)));
  } catch (error) {
    if (condition?.kind === "absent" && hasCode(error, "EEXIST")) return false;
    throw error;
  }
  await syncFolder(dirname(file));
  return true;
}

const triesOfFolder = 10;

/** Does what needs the folder of a file. Where there is none, or the last object was just removed from it, it is made. */
async function inFolder<T>(file: string, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, "ENOENT") || tries === triesOfFolder) throw error;
      await mkdir(dirname(file), { recursive: true });
    }
  }
}

async function removeIfEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: unknown) => {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].some((code) => hasCode(error, code))) throw error;
  });
}

async function factsOf(file: string): Promise<Omit<ListedObject, "name"> | undefined> {
  try {
    const facts = await stat(file, { bigint: true });
    return { bytes: Number(facts.size), tag: tagOf(facts), at: Number(facts.mtimeMs) };
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

interface Listing {
  root: string;
  prefix: string;
  after: string;
  signal?: AbortSignal;
}

/** What begins with the prefix, of what lies below a folder that the prefix names. */
async function* list(listing: Listing, folder: string): AsyncGenerator<ListedObject> {
  const { root, prefix, after, signal } = listing;
  const names = (await namesIn(join(root, folder))).map((name) => `${folder}${name}`);
  for (const name of names.filter((one) => one.startsWith(prefix)).toSorted(byBytes)) {
    signal?.throwIfAborted();
    if (name.endsWith("/")) {
      yield* list(listing, name);
      continue;
    }
    const facts = name > after ? await factsOf(join(root, `${name}${suffix}`)) : undefined;
    if (facts) yield { name, ...facts };
  }
}

/** Names of objects, and of folders with a slash behind; a folder that vanishes meanwhile has none. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() || entry.name.endsWith(suffix))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name.slice(0, -suffix.length)));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** Names are ASCII. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : 1;
}
