import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openStorage, type Streams } from "@flotilla/oci";
import { createLogger, ociEnvironment, parseConfig, storageEnvironment } from "@flotilla/runtime";
import { until } from "@flotilla/testkit";
import type { StreamReader } from "@flotilla/workflow";
import { z } from "zod";
import type { Fleet } from "./fleet.ts";

const Exported = z.looseObject({ workflowId: z.string(), seq: z.int(), type: z.string() });
/** An event as it is in the stream. */
export type Exported = z.infer<typeof Exported>;

const ends = new Set(["workflow.completed", "workflow.failed", "workflow.aborted", "workflow.cancelled"]);

/** The streams of a fleet that is up, reached as any program would reach them. */
export async function streamsOf({ ready }: Pick<Fleet, "ready">): Promise<Streams> {
  const file = z
    .object({ oci: z.record(z.string(), z.string()) })
    .parse(JSON.parse(await readFile(join(ready.dataDir, "fleet.json"), "utf8")));
  const schema = ociEnvironment.extend(storageEnvironment.shape);
  const config = parseConfig(schema, { ...file.oci, FLOTILLA_DATA_DIR: ready.dataDir });
  return openStorage(config, createLogger({ role: "test", level: "silent" })).streams;
}

/** Reads events until so many workflows have ended; all of them, in the order in which they came. */
export async function readEvents(reader: StreamReader, workflows: number): Promise<Exported[]> {
  const events: Exported[] = [];
  const ended = new Set<string>();
  await until(
    async () => {
      for (const { value } of await reader.receive()) {
        const event = Exported.parse(JSON.parse(Buffer.from(value).toString()));
        events.push(event);
        if (ends.has(event.type)) ended.add(event.workflowId);
      }
      await reader.commit();
      return ended.size >= workflows;
    },
    { timeoutMs: 60_000, what: `the ends of ${workflows} workflows in the stream` },
  );
  return events;
}

/** The events of one workflow in the order in which each was there first. */
export function firstOfEach(events: readonly Exported[], id: string): Exported[] {
  const first = new Map<number, Exported>();
  for (const event of events) {
    if (event.workflowId === id && !first.has(event.seq)) first.set(event.seq, event);
  }
  return [...first.values()];
}
