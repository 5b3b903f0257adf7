import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** Of the system when a disk, or what one user may have of it, is full: it passes, as an outage does. */
const noRoom = new Set(["ENOSPC", "EDQUOT"]);

/** Writes what comes in to a file that is not there yet, one chunk in memory at a time, and syncs it. */
export async function writeSynced(
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

/** Puts the names in a folder on disk. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}

/** Whether it is an error for want of room. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && noRoom.has(error.code);
}
