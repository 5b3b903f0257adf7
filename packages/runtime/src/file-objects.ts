import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ObjectEntry, ObjectStore } from "@flotilla/workflow";

const partPattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;

/** Name of the folder of what is being written; no part of an object's name. */
const incoming = ".incoming";

/**
 * Objects as files `<directory>/archive/<name>`, shared by all processes that see the directory. An object is on disk once `put`
 * resolves; a process killed before leaves a file in `.incoming` and no object.
 */
export function createFileObjects(dataDirectory: string): ObjectStore {
  const directory = join(dataDirectory, "archive");
  const fileOf = (name: string) => {
    if (!name.split("/").every((part) => partPattern.test(part))) throw new Error(`${name} is no name of an object`);
    return join(directory, name);
  };

  return {
    async put(name, content) {
      const file = fileOf(name);
      const unfinished = join(directory, incoming, randomUUID());
      await inFolder(unfinished, () => write(unfinished, content));
      try {
        // Whoever removes the last object of a folder removes the folder: then it is made again.
        await inFolder(file, () => rename(unfinished, file));
        await syncFolder(dirname(file));
      } catch (error) {
        await rm(unfinished, { force: true });
        throw error;
      }
    },

    async get(name) {
      return unlessAbsent(readFile(fileOf(name)));
    },

    list(prefix) {
      const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      return list(directory, folder, prefix);
    },

    async delete(name) {
      const file = fileOf(name);
      await rm(file, { force: true });
      await unlessAbsent(removeIfEmpty(dirname(file)));
    },
  };
}

async function write(file: string, content: Uint8Array): Promise<void> {
  await using handle = await open(file, "wx");
  await handle.writeFile(content);
  await handle.sync();
}

const triesOfFolder = 10;

/** Does what needs the folder of a file; where it is not there, makes it and tries again. */
async function inFolder(file: string, work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, "ENOENT") || tries === triesOfFolder) throw error;
      await mkdir(dirname(file), { recursive: true });
    }
  }
}

/** Without this a power cut may forget the name of a file. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}

async function removeIfEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: unknown) => {
    if (!hasCode(error, "ENOTEMPTY") && !hasCode(error, "EEXIST")) throw error;
  });
}

/** What begins with the prefix, of what lies below a folder that the prefix names. */
async function* list(directory: string, folder: string, prefix: string): AsyncGenerator<ObjectEntry> {
  const entries = (await unlessAbsent(readdir(join(directory, folder), { withFileTypes: true }))) ?? [];
  const named = entries
    .map((entry) => (entry.isDirectory() ? `${folder}${entry.name}/` : `${folder}${entry.name}`))
    .filter((name) => name.startsWith(prefix) && name !== `${incoming}/`)
    .toSorted((a, b) => (a < b ? -1 : 1));
  for (const name of named) {
    if (name.endsWith("/")) {
      yield* list(directory, name, prefix);
      continue;
    }
    const found = await unlessAbsent(stat(join(directory, name)));
    if (found) yield { name, at: found.mtimeMs };
  }
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
