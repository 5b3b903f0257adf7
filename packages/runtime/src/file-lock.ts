import { randomUUID } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 5;

/** Far above what is done under a lock, so one that is older is that of a process which died. */
const staleMs = 10_000;

/**
 * Does the work while no other process does work under the same lock: a file that exists meanwhile. For work of
 * milliseconds: the lock of a holder that is silent for 10 s is taken from it.
 */
export async function withFileLock<T>(lockFile: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  while (!(await tryLock(lockFile))) {
    await breakStale(lockFile);
    signal?.throwIfAborted();
    await delay(pollMs);
  }
  try {
    return await work();
  } finally {
    await rm(lockFile, { force: true });
  }
}

async function tryLock(lockFile: string): Promise<boolean> {
  try {
    const handle = await open(lockFile, "wx");
    await handle.close();
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** Moved aside first: of several that find it stale one gets it, and none removes the lock that another then takes. */
async function breakStale(lockFile: string): Promise<void> {
  const age = await stat(lockFile).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (age < staleMs) return;
  const aside = `${lockFile}.${randomUUID()}`;
  await rename(lockFile, aside).then(
    () => rm(aside, { force: true }),
    () => {},
  );
}

/** Whether it is an error of the system with that code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
