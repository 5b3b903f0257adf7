import type { Archive } from "@flotilla/workflow";
import { z } from "zod";
import { readObject } from "./record.ts";
import type { Connection } from "../connection.ts";
import { apiKeysKey, revokedKey } from "../key-store.ts";

/** Where the hashes of the API keys are archived, with their records. */
const objectName = "keys/api.json";

const Stored = z.record(z.string(), z.string());

/** Copies the hashes of the API keys into the archive, where they differ from `last`; answers what it has now. */
export async function copyKeys(connection: Connection, objects: Archive, last: string): Promise<string> {
  const [keys, revoked] = await Promise.all([connection.hgetall(apiKeysKey), connection.exists(revokedKey)]);
  const text = JSON.stringify(keys);
  // The last key may have been revoked; a Redis that has lost everything must not take the copy with it.
  const isLost = Object.keys(keys).length === 0 && revoked === 0;
  if (text === last || isLost) return last;
  await objects.put(objectName, Buffer.from(text));
  return text;
}

/** Puts back the API keys that Redis has not got; answers how many. */
export async function restoreKeys(connection: Connection, objects: Archive): Promise<number> {
  const content = await readObject(objects, objectName);
  if (!content) return 0;
  const keys = Stored.parse(JSON.parse(content.toString("utf8")));
  const added = await Promise.all(
    Object.entries(keys).map(([hash, record]) => connection.hsetnx(apiKeysKey, hash, record)),
  );
  return added.filter((isNew) => isNew === 1).length;
}
