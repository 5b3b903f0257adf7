import {
  agentEnvironment,
  clientEnvironment,
  localEnvironment,
  ociEnvironment,
  parseConfig,
  probeEnvironment,
  processEnvironment,
  redisEnvironment,
  storageEnvironment,
  supervisorEnvironment,
} from "@flotilla/runtime/configuration";
import { z } from "zod";

const cliEnvironment = z.object({
  FLOTILLA_DOCS_ROOTS: agentEnvironment.shape.FLOTILLA_DOCS_ROOTS,
  FLOTILLA_RETENTION_MS: supervisorEnvironment.shape.FLOTILLA_RETENTION_MS,
  ...clientEnvironment.shape,
  ...localEnvironment.shape,
  OCI_AUTH: ociEnvironment.shape.OCI_AUTH,
  ...probeEnvironment.shape,
  ...processEnvironment.shape,
  ...redisEnvironment.shape,
  ...storageEnvironment.shape,
});

/** What the CLI reads from its environment. */
export interface CliConfig extends Readonly<z.output<typeof cliEnvironment>> {
  /** Whether a Redis is named at all; without one the local fleet runs its own. */
  readonly namesRedis: boolean;
  /** Passed on to the processes of a local fleet, which parse their own part of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The configuration, parsed. Throws `ConfigError` naming every problem at once. */
export function readConfig(): CliConfig {
  const environment = process.env;
  const config = parseConfig(cliEnvironment, environment);
  const namesRedis = Boolean(environment.REDIS_URL || environment.REDIS_HOST || environment.REDIS_SENTINELS);
  return { ...config, namesRedis, environment };
}
