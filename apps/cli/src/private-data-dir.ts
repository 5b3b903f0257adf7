import { join } from "node:path";
import { type DataDir, dataDirAt } from "./local/data-dir.ts";
import { claimDataDir } from "./local/fleet-file.ts";
import type { Lock } from "./local/lock.ts";

/** A folder inside the data folder for a fleet of one call: `<purpose>`, or the next number that is not in use. */
export async function privateDataDir(home: DataDir, purpose: string): Promise<{ dataDir: DataDir; lock: Lock }> {
  for (let number = 1; ; number++) {
    const dataDir = dataDirAt(join(home.path, number === 1 ? purpose : `${purpose}-${number}`));
    const lock = await claimDataDir(dataDir);
    if (lock) return { dataDir, lock };
  }
}
