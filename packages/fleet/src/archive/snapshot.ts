import { tagOf } from "../keys.ts";
import { type Line, parseLines } from "../log.ts";
import type { Reply, Scripts } from "../scripts.ts";
import type { ArchiveRecord } from "./record.ts";

/** A workflow at one moment, as lua/snapshot.lua reads it. */
export interface Snapshot extends Pick<ArchiveRecord, "fields" | "journals" | "outputs" | "idempotency"> {
  at: number;
  lines: readonly Line[];
}

/**
 * The lines from `from` on, and the journals and outputs that have changed since change number `since`, or since they
 * were last shipped; undefined for a workflow that is not there.
 */
export async function takeSnapshot(
  scripts: Scripts,
  id: string,
  { from, since }: { from: number; since: number | "shipped" },
): Promise<Snapshot | undefined> {
  const reply = await scripts.item("snapshot", tagOf(id), [id, from, since]);
  if (reply === null) return undefined;
  // See the header of lua/snapshot.lua for the shape.
  const [at, fields, lines, changed, key] = reply as [number, string[], Reply, Reply[], [string, number] | []];
  const [value, life = 0] = key;
  return {
    at,
    fields: Object.fromEntries(pairsOf(fields)),
    lines: parseLines(lines),
    ...changesOf(changed),
    ...(value !== undefined && { idempotency: { value, until: at + Math.max(0, life) } }),
  };
}

function changesOf(flat: readonly Reply[]): Pick<Snapshot, "journals" | "outputs"> {
  const journals: Snapshot["journals"] = {};
  const outputs: Snapshot["outputs"] = {};
  for (const [what, value] of pairsOf(flat)) {
    const task = String(what).replace(/^\w+:/, "");
    if (Array.isArray(value)) journals[task] = Object.fromEntries(pairsOf(value as string[]));
    else if (typeof value === "string") outputs[task] = value;
  }
  return { journals, outputs };
}

function pairsOf<T>(flat: readonly T[]): [T, T][] {
  const pairs: [T, T][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push(flat.slice(index, index + 2) as [T, T]);
  }
  return pairs;
}

/** A number of the index; 0 where there is none. */
export function numberOf({ fields }: Pick<Snapshot, "fields">, name: string): number {
  return Number(fields[name] ?? 0);
}
