import type { Archive } from "@flotilla/workflow";
import { z } from "zod";
import type { Connection } from "../connection.ts";
import { fleetTag } from "../keys.ts";
import { readObject } from "./record.ts";

/** Where the schedules are archived, with their slots. */
const objectName = "schedules/all.json";

const schedulesKey = `${fleetTag}:schedules`;
const slotsKey = `${fleetTag}:slots`;
const lastSlotsKey = `${fleetTag}:last-slots`;

const Stored = z.object({
  schedules: z.record(z.string(), z.string()),
  slots: z.array(z.string()).meta({ description: "id and slot by turns" }),
  last: z.record(z.string(), z.string()),
});

/** Copies the schedules into the archive, where they differ from `last`; answers what it has now. */
export async function copySchedules(connection: Connection, objects: Archive, before: string): Promise<string> {
  const [schedules, slots, last, removed] = await Promise.all([
    connection.hgetall(schedulesKey),
    connection.zrange(slotsKey, 0, -1, "WITHSCORES"),
    connection.hgetall(lastSlotsKey),
    connection.exists(`${fleetTag}:unscheduled`),
  ]);
  const stored: z.infer<typeof Stored> = { schedules, slots, last };
  const text = JSON.stringify(stored);
  // The last one may have been removed; a Redis that has lost everything must not take the copy with it.
  const isLost = Object.keys(schedules).length === 0 && removed === 0;
  if (text === before || isLost) return before;
  await objects.put(objectName, Buffer.from(text));
  return text;
}

/** Puts back the schedules that Redis has not got, at the slots that they were at; answers how many. */
export async function restoreSchedules(connection: Connection, objects: Archive): Promise<number> {
  const content = await readObject(objects, objectName);
  if (!content) return 0;
  const { schedules, slots, last } = Stored.parse(JSON.parse(content.toString("utf8")));
  let restored = 0;
  for (const [id, record] of Object.entries(schedules)) {
    const slot = slots[slots.indexOf(id) + 1];
    const { tenant } = z.looseObject({ tenant: z.string() }).parse(JSON.parse(record));
    if (slot === undefined || (await connection.hsetnx(schedulesKey, id, record)) === 0) continue;
    await connection.zadd(`${schedulesKey}:${tenant}`, "NX", Date.now(), id);
    if (last[id] !== undefined) await connection.hsetnx(lastSlotsKey, id, last[id]);
    await connection.zadd(slotsKey, "NX", slot, id);
    restored++;
  }
  return restored;
}
