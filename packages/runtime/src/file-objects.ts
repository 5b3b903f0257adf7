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
      await mkdir(join(directory, incoming), { recursive: true });
      try {
        await write(unfinished, content);
        // Whoever removes the last object of a folder removes the folder: then it is made again.
        for (let tries = 1; !(await moveInto(unfinished, file)); tries++) {
          if (tries === 10) throw new Error(`the folder of ${name} does not stay`);
        }
      } finally {
        await rm(unfinished, { force: true });
      }
    },

    async get(name) {
      return unlessAbsent(readFile(fileOf(name)));
    },

    list(prefix) {
      return list(directory, "", prefix);
    },

    async delete(name) {
      const file = fileOf(name);
      await rm(file, { force: true });
      // A folder that is not empty stays.
      await unlessAbsent(rmdirIfEmpty(dirname(file)));
    },
  };
}

async function write(file: string, content: Uint8Array): Promise<void> {
  await using handle = await open(file, "wx");
  await handle.writeFile(content);
  await handle.sync();
}

/** False where the folder was removed meanwhile. The folder is synced too: without it a power cut may forget the name. */
async function moveInto(unfinished: string, file: string): Promise<boolean> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const moved = await unlessAbsent(rename(unfinished, file).then(() => true));
  if (moved) await unlessAbsent(syncFolder(folder));
  return moved ?? false;
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}

async function rmdirIfEmpty(folder: string): Promise<void> {
  
  await rmdir(folder).catch((error: unknown) => {
    if (!hasCode(error, "ENOTEMPTY") && !hasCode(error, "EEXIST")) throw error;
  });
}

async function* list(directory: string, folder: string, prefix: string): AsyncGenerator<ObjectEntry> {
  const entries = (await unlessAbsent(readdir(join(directory, folder), { withFileTypes: true }))) ?? [];
  const named = entries
    .filter((entry) => entry.name !== incoming)
    .map((entry) => ({ entry, name: entry.isDirectory() ? `${folder}${entry.name}/` : `${folder}${entry.name}` }))
    .filter(({ name }) => name.startsWith(prefix) || (name.endsWith("/") && prefix.startsWith(name)))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const { entry, name } of named) {
    if (entry.isDirectory()) {
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
