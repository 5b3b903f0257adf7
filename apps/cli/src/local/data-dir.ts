import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CliError, exitCode } from "../exit.ts";

/** The places inside the folder in which a local fleet keeps all it has. */
export interface DataDir {
  readonly path: string;
  readonly lock: string;
  /** Address, keys and Redis of the fleet while it is up. */
  readonly fleetFile: string;
  readonly keysFile: string;
  /** Not `redis`: that one holds a fetched server. */
  readonly redisData: string;
  readonly redisLog: string;
  readonly logs: string;
  /** Where the probe agent writes its effects, unless the environment names another file. */
  readonly probeEffects: string;
  reports(workflowId: string): string;
}

/** Names the places without touching the disk. */
export function dataDirAt(path: string): DataDir {
  const root = resolve(path);
  return {
    path: root,
    lock: join(root, "fleet.lock"),
    fleetFile: join(root, "fleet.json"),
    keysFile: join(root, "keys.json"),
    redisData: join(root, "redis-data"),
    redisLog: join(root, "redis-data", "redis.log"),
    logs: join(root, "logs"),
    probeEffects: join(root, "effects.jsonl"),
    reports: (workflowId) => join(root, "reports", workflowId),
  };
}

/** Makes the folders. Throws a sentence for the person when that is not possible. */
export async function makeDataDir(dataDir: DataDir): Promise<void> {
  try {
    await mkdir(dataDir.logs, { recursive: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `the data folder ${dataDir.path} cannot be made: ${reason}; name another with --data-dir`;
    throw new CliError(exitCode.badConfiguration, message, { cause: error });
  }
}
