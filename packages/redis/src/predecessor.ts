import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isFreePort } from "./free-port.ts";

/** Above the 2 s in which a Redis follows the process that spawned it. */
const patienceMs = 3000;

const pollMs = 50;

/** Leaves word in a data directory of which Redis runs on it. */
export async function leaveWord(dir: string, pid: number, port: number): Promise<void> {
  await writeFile(wordPath(dir), `${pid} ${port}\n`);
}

/**
 * Waits until the Redis that last ran on a directory has ended, and throws if it stays: when a fleet is killed
 * and started again at once, two servers would append to one file and spoil it.
 */
export async function untilPredecessorEnds(dir: string): Promise<void> {
  const word = await readFile(wordPath(dir), "utf8").catch(() => "");
  const [pid = 0, port = 0] = word.split(" ").map(Number);
  if (!pid || !port) return;
  const deadline = performance.now() + patienceMs;
  // Both, for a pid may belong to somebody else by now, and so may a port.
  while (isAlive(pid) && !(await isFreePort(port))) {
    if (performance.now() > deadline) throw new Error(`another redis, of pid ${pid}, runs on this directory`);
    await sleep(pollMs);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function wordPath(dir: string): string {
  return join(dir, "redis.pid");
}
