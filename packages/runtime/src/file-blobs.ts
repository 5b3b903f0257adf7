import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type BlobStore, StoreUnavailableError } from "@flotilla/workflow";

const sha256Pattern = /^[0-9a-f]{64}$/;

/** Of the system when a disk, or what one user may have of it, is full: it passes, as an outage does. */
const noRoom = new Set(["ENOSPC", "EDQUOT"]);

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
        const written = await write(unfinished, content, signal);
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

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && noRoom.has(error.code);
}

/** Writes what comes in, one chunk in memory at a time, and syncs it. */
async function write(
  file: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  await using handle = await open(file, "wx");
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    signal?.throwIfAborted();
    hash.update(chunk);
    bytes += chunk.byteLength;
    await handle.writeFile(chunk);
  }
  await handle.sync();
  return { sha256: hash.digest("hex"), bytes };
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

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
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
