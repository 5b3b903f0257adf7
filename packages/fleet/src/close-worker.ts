import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "bullmq";

/** Long enough to finish what is under way, and well within the time that a process has to stop. */
const closeWithinMs = 2000;

/**
 * Closes a BullMQ worker and waits for the jobs that it has, but not for long. One that is closed while it is
 * reconnecting would wait for ever: ioredis forgets the commands that it meant to send again. What it leaves behind
 * comes back to the queue, and a claim refuses it if it was done.
 */
export async function closeWorker<T>(worker: Worker<T>): Promise<void> {
  const closed = new AbortController();
  const timeout = delay(closeWithinMs, undefined, { signal: closed.signal }).catch(() => undefined);
  try {
    await Promise.race([worker.close(), timeout]);
  } finally {
    closed.abort();
  }
}
