import { fileURLToPath } from "node:url";
import { askRedis } from "@flotilla/fleet";
import { findRedis, type RedisChoice, RedisSetupError } from "@flotilla/redis";
import { createLogger, redisSettings } from "@flotilla/runtime";
import type { CliConfig } from "../config.ts";

/** Where fetched servers lie: beside the code, whatever the data folder is. */
const fetchRoot = fileURLToPath(new URL("../../../../.flotilla", import.meta.url));

/** The Redis to run on, as the environment and this machine have it. */
export async function chooseRedis(config: CliConfig, note: (line: string) => void): Promise<RedisChoice> {
  if (config.REDIS_SENTINELS !== undefined) return { kind: "url", url: await masterUrl(config) };
  return findRedis({
    root: fetchRoot,
    fetch: config.FLOTILLA_FETCH,
    say: note,
    production: config.NODE_ENV === "production",
    ...(config.namesRedis && { redisUrl: namedRedisUrl(config) }),
  });
}

/** Where the sentinels say that the master is now; processes ask them again themselves. */
async function masterUrl(config: CliConfig): Promise<string> {
  try {
    const [master] = await askRedis(redisSettings(config), createLogger({ role: "cli", level: "silent" }));
    return `redis://${master?.address ?? ""}`;
  } catch (cause) {
    throw new RedisSetupError("redis-unreachable", "REDIS_SENTINELS lead to no master that answers", { cause });
  }
}

/** `REDIS_URL`, or the address that the other variables make; TLS files have no place in it. */
function namedRedisUrl(config: CliConfig): string {
  if (config.REDIS_URL !== undefined) return config.REDIS_URL;
  const { host, port, username = "", password, tls } = redisSettings(config);
  const credentials = password === undefined ? "" : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`;
  return `${tls ? "rediss" : "redis"}://${credentials}${host.includes(":") ? `[${host}]` : host}:${port}`;
}
