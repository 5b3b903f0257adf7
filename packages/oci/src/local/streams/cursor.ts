import { z } from "zod";
import { invalid } from "../wire.ts";

/** How long a cursor can be used after it was given out. */
const lifeMs = 5 * 60_000;

const Position = z.object({ term: z.string(), next: z.int() });
const Cursor = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("partition"), stream: z.string(), at: z.int(), partition: z.int(), offset: z.int() }),
  z.object({
    kind: z.literal("group"),
    stream: z.string(),
    at: z.int(),
    group: z.string(),
    instance: z.string(),
    positions: z.record(z.string(), Position),
    /** The partition that was read last, so that the next read begins behind it. */
    last: z.int(),
  }),
]);
/** Where a consumer goes on: in one partition, or in those that it has as a member of a group. */
export type Cursor = z.infer<typeof Cursor>;

/** The cursor as text, which says nothing to whoever gets it. */
export function cursorText(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString("base64url");
}

/** The cursor of that stream, or the refusal 400. */
export function cursorIn(text: string | null, stream: string, now: number): Cursor {
  const cursor = parse(text ?? "");
  if (cursor?.stream !== stream) throw invalid("the cursor is not valid");
  if (cursor.at + lifeMs < now) throw invalid("the cursor has expired");
  return cursor;
}

function parse(text: string): Cursor | undefined {
  try {
    return Cursor.parse(JSON.parse(Buffer.from(text, "base64url").toString()));
  } catch {
    return undefined;
  }
}
