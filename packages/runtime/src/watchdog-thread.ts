import { writeSync } from "node:fs";
import { Session } from "node:inspector";
import { workerData } from "node:worker_threads";
import type { WatchOrder } from "./watchdog.ts";

// Given by watchEventLoop and by nobody else.
const { role, beats, beatEveryMs, maxLagMs, exitCode } = workerData as WatchOrder;

let seen = Atomics.load(beats, 0);
let silentMs = 0;
let lookedAt = performance.now();

const watching = setInterval(() => {
  const now = performance.now();
  // A process that was suspended sees a long gap here too: of each gap only as much counts as this thread was awake for.
  const awakeMs = Math.min(now - lookedAt, 2 * beatEveryMs);
  lookedAt = now;

  const beat = Atomics.load(beats, 0);
  silentMs = beat === seen ? silentMs + awakeMs : 0;
  seen = beat;
  if (silentMs >= maxLagMs) end();
}, beatEveryMs);

/** A thread can exit only itself, so the main thread is interrupted to exit; one stuck in native code is killed. */
function end(): void {
  clearInterval(watching);
  const line = { level: "fatal", role, pid: process.pid, silentMs, msg: "the event loop is blocked" };
  writeSync(2, `${JSON.stringify(line)}\n`);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), 2 * beatEveryMs);
  const session = new Session();
  session.connectToMainThread();
  session.post("Runtime.evaluate", { expression: `process.reallyExit(${exitCode})` });
}
