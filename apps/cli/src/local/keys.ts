import { randomBytes } from "node:crypto";
import { connect, disconnect, RedisKeyStore } from "@flotilla/fleet";
import { createLogger, type RedisSettings } from "@flotilla/runtime";
import type { KeyStore } from "@flotilla/workflow";
import { z } from "zod";
import type { DataDir } from "./data-dir.ts";
import { readPrivate, writePrivate } from "./private-file.ts";

/** Whose keys a local fleet makes for whoever starts it. */
const localTenant = "default";

const LocalKeys = z.object({ apiKey: z.string(), operatorKey: z.string() });
/** The keys of a local fleet: one of role user, one of role operator. */
export type LocalKeys = z.infer<typeof LocalKeys>;

/** The keys kept in the data folder, made the first time. */
export async function localKeys(dataDir: DataDir): Promise<LocalKeys> {
  const kept = await readPrivate(dataDir.keysFile, LocalKeys);
  if (kept) return kept;
  const keys = { apiKey: newKey(), operatorKey: newKey() };
  await writePrivate(dataDir.keysFile, keys);
  return keys;
}

/** Makes Redis know the keys; again after every start of a Redis that may have forgotten them. */
export async function adoptKeys(redis: RedisSettings, { apiKey, operatorKey }: LocalKeys): Promise<void> {
  await withKeyStore(redis, async (keys) => {
    await keys.adopt(apiKey, localTenant, "user");
    await keys.adopt(operatorKey, localTenant, "operator");
  });
}

/** Lends the key store of that Redis for one piece of work. */
export async function withKeyStore<T>(
  redis: RedisSettings,
  work: (keys: KeyStore & Pick<RedisKeyStore, "adopt">) => Promise<T>,
): Promise<T> {
  const connection = connect(redis, "patient", createLogger({ role: "cli", level: "silent" }));
  try {
    return await work(new RedisKeyStore(connection));
  } finally {
    disconnect(connection);
  }
}

function newKey(): string {
  return `flk_${randomBytes(24).toString("base64url")}`;
}
