import { Worker } from "node:worker_threads";

const beatEveryMs = 250;

/** `EX_SOFTWARE` of sysexits.h. */
const eventLoopBlockedExitCode = 70;

/** What the watching thread is told when it starts. */
export interface WatchOrder {
  role: string;
  /** Counts up while the event loop turns. */
  beats: Int32Array;
  beatEveryMs: number;
  maxLagMs: number;
  exitCode: number;
}

/**
 * Ends this process with exit code 70 once its event loop has stood still for `maxLagMs`. Its leases have not been
 * renewed for as long: ending early, others take over soon, and nothing here goes on as a zombie. A thread watches,
 * for a loop that is blocked cannot. Returns how to end the watch.
 */
export function watchEventLoop(role: string, maxLagMs = 4000): () => Promise<void> {
  const beats = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const beating = setInterval(() => Atomics.add(beats, 0, 1), beatEveryMs).unref();
  const order: WatchOrder = { role, beats, beatEveryMs, maxLagMs, exitCode: eventLoopBlockedExitCode };
  const watcher = new Worker(new URL("./watchdog-thread.ts", import.meta.url), { workerData: order });
  watcher.unref();
  return async () => {
    clearInterval(beating);
    await watcher.terminate();
  };
}
