import type { EventBody, WorkflowEvent, WorkflowState } from "@flotilla/workflow";
import { fold } from "@flotilla/workflow";
import type { Reply } from "./scripts.ts";

/** A line of a log as Redis holds it. */
export interface Line {
  seq: number;
  at: number;
  /** The event without `seq` and `at`, as JSON. */
  text: string;
}

/** More lines than any log has. */
export const everyLine = 1_000_000_000;

/** Lines as XRANGE gives them: `[[<seq>-0, ["at", <ms>, "event", <json>]], ...]`. */
export function parseLines(reply: Reply | undefined): Line[] {
  // The scripts write every line in this shape, and nothing else writes to a log.
  const entries = (reply ?? []) as [string, [string, string, string, string]][];
  return entries.map(([id, [, at, , text]]) => ({ seq: Number.parseInt(id, 10), at: Number(at), text }));
}

/** The event of a line; it was parsed when it was written. */
export function eventOf({ seq, at, text }: Line): WorkflowEvent {
  const body = JSON.parse(text) as EventBody;
  return { seq, at, ...body };
}

/** A state and the last line it was folded from: the line tells whether a log still is the one that was read. */
export interface FoldedLog {
  state: WorkflowState;
  last: Line;
}

/**
 * The log folded further by `lines`, which begin at the latest with the line that `held` ends with. Undefined when they
 * do not agree: Redis has lost or replaced what was read, or they begin too late; the log is to be read from the start.
 */
export function advance(id: string, held: FoldedLog | undefined, lines: readonly Line[]): FoldedLog | undefined {
  const last = lines.at(-1);
  if (!last) return undefined;
  if (lines[0]?.seq === 1) return { state: fold(id, undefined, lines.map(eventOf)), last };
  if (!held) return undefined;
  const overlap = lines.findIndex(({ seq }) => seq === held.last.seq);
  const same = lines[overlap];
  if (same?.at !== held.last.at || same.text !== held.last.text) return undefined;
  return { state: fold(id, held.state, lines.slice(overlap + 1).map(eventOf)), last };
}
