import { type BlobStore, type EventOf, GivenRecord, type JournalEntry, type Json } from "@flotilla/workflow";
import { eventOf, parseLines } from "./log.ts";
import { readOutput } from "./outputs.ts";
import type { Reply, Scripts } from "./scripts.ts";

/** The entry with its result, where the journal says only in which place of the workflow that stands. */
export async function withGiven(
  scripts: Scripts,
  blobs: BlobStore,
  { tag, workflowId }: { tag: string; workflowId: string },
  entry: JournalEntry,
): Promise<JournalEntry> {
  const given = "result" in entry ? GivenRecord.safeParse(entry.result) : undefined;
  if (!given?.success) return entry;
  const value = async (): Promise<Json> => {
    if ("failure" in given.data) return given.data;
    if ("signal" in given.data) return signalOf(await scripts.item("load", tag, [workflowId, given.data.signal, 1]));
    const kept = await scripts.item("outputs", tag, [workflowId, given.data.output]);
    return { output: typeof kept === "string" ? await readOutput(blobs, kept) : null };
  };
  return { key: entry.key, inputHash: entry.inputHash, result: { value: await value() } };
}

function signalOf(reply: Reply): Json {
  // See the header of lua/load.lua for the shape.
  const [, , , , , lines] = (reply ?? []) as [string?, string?, number?, number?, number?, Reply?];
  const [line] = parseLines(lines);
  // `decide` gave the place of a signal.
  const { data } = (line ? eventOf(line) : { data: {} }) as Pick<EventOf<"signal.received">, "data">;
  return data.data === undefined ? {} : { data: data.data };
}
