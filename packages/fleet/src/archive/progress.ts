import type { Archive } from "@flotilla/workflow";
import { z } from "zod";
import { readObject } from "./record.ts";

/** Where the relay says how far it is. */
const objectName = "relay/progress.json";

const Progress = z.object({ completeUntil: z.int() });

/** Says that the archive has all that happened before `completeUntil`, in ms since the epoch. */
export async function sayHowFar(objects: Archive, completeUntil: number): Promise<void> {
  const progress: z.infer<typeof Progress> = { completeUntil: Math.floor(completeUntil) };
  await objects.put(objectName, Buffer.from(JSON.stringify(progress)));
}

/** Until when the archive was complete when that was last said, in ms since the epoch; undefined where nobody did. */
export async function readHowFar(objects: Archive): Promise<number | undefined> {
  const content = await readObject(objects, objectName);
  return content && Progress.parse(JSON.parse(content.toString("utf8"))).completeUntil;
}
