import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type BlobStore, StoreUnavailableError } from "@flotilla/workflow";
import { isFull, syncFolder, writeSynced } from "./durable-file.ts";

const sha256Pattern = /^[0-9a-f]{64}$/;

/**
 * Blobs as files `<directory>/blobs/ab/cdef…`, shared by all processes that see the directory.
 * A blob is on disk once `put` resolves; a process killed before leaves a file in `blobs/incoming` and no blob.
 * `put` rejects with `StoreUnavailableError` when the disk is full.
 */
export function createFileBlobs(directory: string): BlobStore {
  const root = join(directory, "blobs");
  const incoming = join(root, "incoming");
  const fileOf = (sha256: string) => join(root, sha256.slice(0, 2), sha256.slice(2));

  return {
    async put(content, signal) {
      signal?.throwIfAborted();
      const unfinished = join(incoming, randomUUID());
      try {
        await mkdir(incoming, { recursive: true });
        const written = await writeSynced(unfinished, content, signal);
        await publish(unfinished, fileOf(written.sha256));
        return written;
      } catch (error) {
        throw isFull(error) ? new StoreUnavailableError({ cause: error }) : error;
      } finally {
        await rm(unfinished, { force: true });
      }
    },

    async get(sha256, signal) {
      signal?.throwIfAborted();
      if (!sha256Pattern.test(sha256)) return undefined;
      const file = fileOf(sha256);
      if (!(await exists(file))) return undefined;
      return read(file, signal);
    },
  };
}

/** Gives the finished file its name. The folder is synced too: without it a power cut may forget the name. */
async function publish(unfinished: string, file: string): Promise<void> {
  if (await exists(file)) return;
  const folder = dirname(file);
  const created = await mkdir(folder, { recursive: true });
  await rename(unfinished, file);
  await syncFolder(folder);
  if (created !== undefined) await syncFolder(dirname(folder));
}

/** Opens the file only when reading begins: an answer that nobody reads holds no descriptor. */
async function* read(file: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, signal ? { signal } : {});
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
