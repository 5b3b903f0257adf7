import { ConfigError, type Logger, type RedisSettings } from "@flotilla/runtime";
import { connect, disconnect, isConnected } from "./connection.ts";
import { fleetTag } from "./keys.ts";
import { Scripts } from "./scripts.ts";

/**
 * The form in which this release writes logs, keys and jobs. One higher where the release before could not read what this
 * one writes: it then refuses to start. docs/operations/upgrade.md has the rules.
 */
const ownFormat = 1;

/** Says which form this process writes. Throws a `ConfigError` where a later release has written here in a higher one. */
export async function agreeOnFormat(
  redis: RedisSettings,
  logger: Logger,
  timeoutMs: number,
  format = ownFormat,
): Promise<void> {
  const connection = connect(redis, "patient", logger);
  try {
    await isConnected(connection, timeoutMs);
    const highest = Number(await new Scripts(connection).call("format", fleetTag, [format]));
    if (highest === format) return;
    throw new ConfigError([
      {
        variable: "redis-format",
        problem: `a later release has written here in form ${highest}, and this one reads up to ${format}`,
        advice: "run that release, or a later one; see docs/operations/upgrade.md",
      },
    ]);
  } finally {
    disconnect(connection);
  }
}
