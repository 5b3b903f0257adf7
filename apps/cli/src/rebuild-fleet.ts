import { isOutage, rebuild, RebuildRefusedError, type RebuildReport } from "@flotilla/fleet";
import { openStorage, type Storage } from "@flotilla/oci";
import { createLogger, type Logger, ociEnvironment, parseConfig } from "@flotilla/runtime";
import type { CommandContext } from "./action.ts";
import type { RebuildOptions } from "./commands/rebuild.ts";
import { CliError, type ExitCode, exitCode } from "./exit.ts";
import type { CliConfig } from "./config.ts";
import { type DataDir, dataDirAt } from "./local/data-dir.ts";
import { findLocalFleet } from "./local/fleet-file.ts";
import { redisAway, redisOf } from "./local/redis-of-fleet.ts";

/** How often it says how far it is. */
const sayEveryMs = 1000;

/** Puts back what the archive has, and says what was found, what could not be proven and until when it is complete. */
export async function rebuildFleet({ options, config, terminal }: CommandContext<RebuildOptions>): Promise<ExitCode> {
  const redis = await redisOf(options.dataDir, config);
  const logger = createLogger({ role: "cli", level: "warn" });
  const storage = await storageOf(dataDirAt(options.dataDir ?? config.FLOTILLA_DATA_DIR), config, logger);
  const startedAt = Date.now();
  let saidAt = startedAt;
  try {
    const report = await rebuild({
      redis,
      objects: storage.archive,
      retentionMs: config.FLOTILLA_RETENTION_MS,
      force: options.force,
      logger,
      onProgress: ({ found }) => {
        if (Date.now() - saidAt < sayEveryMs) return;
        saidAt = Date.now();
        terminal.note(`${found} workflows looked at`);
      },
    });
    if (terminal.json) terminal.emit({ ...report, ms: Date.now() - startedAt });
    else for (const line of words(report, Date.now() - startedAt)) terminal.say(line);
    return exitCode.done;
  } catch (error) {
    if (error instanceof RebuildRefusedError) {
      throw new CliError(exitCode.badConfiguration, `${error.message}; --force puts back what is missing beside them`);
    }
    if (isOutage(error)) throw redisAway(redis, error);
    throw error;
  } finally {
    for (const service of storage.services) await service.stop();
  }
}

/** Where the fleet on the data folder keeps its archive, else where the environment says. */
async function storageOf(dataDir: DataDir, config: CliConfig, logger: Logger): Promise<Storage> {
  const fleet = config.namesRedis ? undefined : await findLocalFleet(dataDir);
  const oci = parseConfig(ociEnvironment, { ...config.environment, ...fleet?.oci });
  return openStorage({ ...oci, FLOTILLA_DATA_DIR: dataDir.path }, logger);
}

function words(report: RebuildReport, ms: number): string[] {
  const { found, open, ended, present, released, unproven, keys, paused, unreadable, archivedUntil } = report;
  const doubts = Object.entries(unproven).filter(([, count]) => count > 0);
  return [
    `${found} workflows found in the archive, in ${(ms / 1000).toFixed(1)} s`,
    `  ${open} open ones and ${ended} ended ones put back, ${present} were there`,
    `  ${released} tasks were running: each is handed to another worker, its attempt unspent`,
    `  ${keys} API keys put back`,
    ...(paused.length > 0 ? [`  paused as before: ${paused.join(", ")}`] : []),
    ...doubts.map(([kind, count]) => `  ${count} ${kind} effects had begun and are not known to have ended`),
    ...unreadable.map(({ name, reason }) => `  not used: ${name}: ${reason}`),
    archivedUntil === null
      ? "the archive does not say until when it is complete"
      : `complete until ${archivedUntil}: what was acknowledged after that may be lost`,
  ];
}
