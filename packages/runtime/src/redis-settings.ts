import type { z } from "zod";
import type { redisEnvironment } from "./environment.ts";

/** PEM texts; an empty object is TLS with the system's authorities and no client certificate. */
export interface TlsSettings {
  ca?: string;
  cert?: string;
  key?: string;
}

/** The sentinels that tell where the master is. */
export interface SentinelSettings {
  nodes: readonly { host: string; port: number }[];
  /** Name of the master. */
  master: string;
  password?: string;
}

/**
 * What an acknowledged write survives. `fast`: the death of the Redis process. `standard`: a power cut of its machine
 * too. `strict`: the loss of that machine too, for `replicas` others have the write. `archive`: the loss of all of Redis,
 * for submits and intents of effects.
 */
export type DurabilityLevel = z.output<typeof redisEnvironment>["REDIS_DURABILITY"];

/** A level, and the number of replicas that `strict` waits for. */
export interface DurabilitySettings {
  level: DurabilityLevel;
  replicas: number;
}

/** How to reach Redis, wherever it was read from. */
export interface RedisSettings {
  /** Of Redis, of one node of a cluster, or of the first sentinel. */
  host: string;
  port: number;
  username?: string;
  password?: string;
  /** Number of the logical database; always 0 on a cluster. */
  database: number;
  tls?: TlsSettings;
  /** Whether `host` is one node of a Redis Cluster. */
  cluster: boolean;
  sentinel?: SentinelSettings;
  durability: DurabilitySettings;
}

/** Where nobody asks for more. */
const fast: DurabilitySettings = { level: "fast", replicas: 1 };

/** Redis as parsed variables name it; `REDIS_USERNAME`, `REDIS_PASSWORD` and the TLS files complete a URL that lacks them. */
export function redisSettings(config: Readonly<z.output<typeof redisEnvironment>>): RedisSettings {
  const named: RedisSettings =
    config.REDIS_URL === undefined ? namedParts(config) : redisSettingsOf(config.REDIS_URL, config.REDIS_CLUSTER);
  const tls = tlsFiles(config);
  const speaksTls = config.REDIS_TLS || named.tls !== undefined || Object.keys(tls).length > 0;
  return {
    ...(config.REDIS_USERNAME !== undefined && { username: config.REDIS_USERNAME }),
    ...(config.REDIS_PASSWORD !== undefined && { password: config.REDIS_PASSWORD }),
    ...named,
    ...(speaksTls && { tls }),
    durability: { level: config.REDIS_DURABILITY, replicas: config.REDIS_STRICT_REPLICAS },
  };
}

function namedParts(config: Readonly<z.output<typeof redisEnvironment>>): RedisSettings {
  const { REDIS_SENTINELS: nodes, REDIS_SENTINEL_MASTER: master, REDIS_SENTINEL_PASSWORD: password } = config;
  const place = { host: config.REDIS_HOST ?? "127.0.0.1", port: config.REDIS_PORT };
  const common = { database: 0, cluster: config.REDIS_CLUSTER, durability: fast };
  // That they go together is checked where the variables are parsed.
  if (nodes === undefined || master === undefined) return { ...place, ...common };
  const sentinel = { nodes, master, ...(password !== undefined && { password }) };
  return { ...place, ...nodes[0], ...common, sentinel };
}

/** Redis at a `redis://` or `rediss://` address. Throws a TypeError when it is not a URL. */
export function redisSettingsOf(url: string, cluster = false): RedisSettings {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: port === "" ? 6379 : Number(port),
    database: Number.parseInt(pathname.slice(1), 10) || 0,
    ...(username !== "" && { username: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    ...(protocol === "rediss:" && { tls: {} }),
    cluster,
    durability: fast,
  };
}

function tlsFiles(config: Readonly<z.output<typeof redisEnvironment>>): TlsSettings {
  return {
    ...(config.REDIS_TLS_CA !== undefined && { ca: config.REDIS_TLS_CA }),
    ...(config.REDIS_TLS_CERT !== undefined && { cert: config.REDIS_TLS_CERT }),
    ...(config.REDIS_TLS_KEY !== undefined && { key: config.REDIS_TLS_KEY }),
  };
}
