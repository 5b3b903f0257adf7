import type { Archive } from "@flotilla/workflow";
import { z } from "zod";
import type { Connection } from "../connection.ts";
import { fleetTag } from "../keys.ts";
import { readObject } from "./record.ts";

/** Where it is archived which agent types are paused. */
const objectName = "fleet/paused.json";

/** As lua/pause.lua keeps it: one that was resumed keeps an empty entry. */
const pausedKey = `${fleetTag}:paused`;

const Stored = z.record(z.string(), z.string());

/** Copies into the archive which agent types are paused, where that differs from `last`; answers what it has now. */
export async function copyPauses(connection: Connection, objects: Archive, last: string): Promise<string> {
  const text = JSON.stringify(await connection.hgetall(pausedKey));
  // Nothing was ever paused, or Redis has lost it: then it must not take the copy with it.
  if (text === last || text === "{}") return last;
  await objects.put(objectName, Buffer.from(text));
  return text;
}

/** Pauses again what was paused, unless somebody has said otherwise meanwhile; answers the agent types. */
export async function restorePauses(connection: Connection, objects: Archive): Promise<string[]> {
  const content = await readObject(objects, objectName);
  if (!content) return [];
  const paused = Object.entries(Stored.parse(JSON.parse(content.toString("utf8")))).filter(([, word]) => word !== "");
  await Promise.all(paused.map(([agentType, word]) => connection.hsetnx(pausedKey, agentType, word)));
  return paused.map(([agentType]) => agentType);
}
