import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { CliError, exitCode } from "../exit.ts";
import { type DataDir, makeDataDir } from "./data-dir.ts";
import { isLocked, type Lock, tryLock } from "./lock.ts";
import { readPrivate } from "./private-file.ts";

/** What the other commands need to know of the fleet that is up on a data folder. */
export const FleetFile = z.object({
  pid: z.int(),
  url: z.string(),
  apiKey: z.string(),
  operatorKey: z.string(),
  redis: z.object({ kind: z.enum(["url", "server", "memory"]), url: z.string(), durable: z.boolean() }),
  /** Variables by which its processes find Oracle Cloud, where that is the local server of the fleet. */
  oci: z.record(z.string(), z.string()),
  /** The folders that its agents may read. */
  docsRoots: z.array(z.string()),
});
export type FleetFile = z.infer<typeof FleetFile>;

const bootTimeoutMs = 60_000;
const lookAgainMs = 100;

/** The fleet that is up on the data folder; waits for one that is still starting. Undefined when there is none. */
export async function findLocalFleet(dataDir: DataDir): Promise<FleetFile | undefined> {
  const giveUpAt = Date.now() + bootTimeoutMs;
  while (isLocked(dataDir.lock)) {
    const fleet = await readPrivate(dataDir.fleetFile, FleetFile);
    if (fleet && isAlive(fleet.pid)) return fleet;
    if (Date.now() > giveUpAt) {
      throw new CliError(exitCode.unreachable, `the fleet on ${dataDir.path} does not get ready: see ${dataDir.logs}`);
    }
    await sleep(lookAgainMs);
  }
  return undefined;
}

/** Makes the data folder and takes it. Undefined when a fleet is up on it. */
export async function claimDataDir(dataDir: DataDir): Promise<Lock | undefined> {
  await makeDataDir(dataDir);
  return tryLock(dataDir.lock);
}

/** A crashed fleet leaves its file behind; while its successor starts, the file still names the old one. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
