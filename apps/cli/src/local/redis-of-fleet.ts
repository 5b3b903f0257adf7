import { type RedisSettings, redisSettings, redisSettingsOf } from "@flotilla/runtime/configuration";
import type { CliConfig } from "../config.ts";
import { noFleet } from "../connect.ts";
import { CliError, exitCode } from "../exit.ts";
import { dataDirAt } from "./data-dir.ts";
import { findLocalFleet } from "./fleet-file.ts";

/** The Redis that the environment names, else that of the fleet on the data folder. Throws with 69 when none is up. */
export async function redisOf(dataDir: string | undefined, config: CliConfig): Promise<RedisSettings> {
  if (config.namesRedis) return redisSettings(config);
  const place = dataDirAt(dataDir ?? config.FLOTILLA_DATA_DIR);
  const fleet = await findLocalFleet(place);
  if (!fleet) throw noFleet(place.path);
  return redisSettingsOf(fleet.redis.url);
}

/** Redis does not answer, and what to do. */
export function redisAway({ host, port }: RedisSettings, cause: unknown): CliError {
  const message = `Redis at ${host}:${port} does not answer: see \`flotilla doctor\``;
  return new CliError(exitCode.unreachable, message, { cause });
}
