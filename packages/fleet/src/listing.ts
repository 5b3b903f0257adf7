import { type ListQuery, Priority, WorkflowStatus, type WorkflowStore } from "@flotilla/workflow";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { shardTag } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

/** What the workflows of a tenant are listed with. */
export interface ListingDeps {
  scripts: Scripts;
  shards: readonly string[];
  /** Turns what a lost Redis throws into the error that callers know. */
  guard<T>(answer: Promise<T>): Promise<T>;
}

/** A page of workflows, newest first, over all shards and all statuses that are wanted; see `WorkflowStore`. */
export async function listWorkflows(
  { scripts, shards, guard }: ListingDeps,
  { tenant, status, tag, limit, cursor }: ListQuery,
): ReturnType<WorkflowStore["list"]> {
  const place = cursor === undefined ? undefined : decodeCursor(cursor);
  if (cursor !== undefined && !place) return undefined;
  const tagText = tag ? `${tag.key}=${tag.value}` : "";
  const items = [status ?? ""]
    .flat()
    .map((one) => [one, tagText, limit + 1, place?.createdAt ?? "+inf", place?.id ?? ""]);
  const pages = await guard(
    Promise.all(
      shards.flatMap((shard) => items.map((item) => scripts.item("list", shardTag(shard), [tenant, ...item]))),
    ),
  );
  // See the header of lua/list.lua for the shape of an entry.
  const entries = pages.flat() as [string, string, string, string, string, string | null, string][];
  const newest = entries
    .map(([id, current, priority, tags, createdAt, endedAt, updatedAt]) => ({
      summary: {
        id,
        status: WorkflowStatus.parse(current),
        priority: Priority.parse(priority),
        tags: JSON.parse(tags) as Record<string, string>,
        createdAt: time(createdAt),
        updatedAt: time(updatedAt),
        ...(endedAt === null ? {} : { endedAt: time(endedAt) }),
      },
      place: { createdAt: Number(createdAt), id },
    }))
    .toSorted((a, b) => b.place.createdAt - a.place.createdAt || (a.place.id < b.place.id ? 1 : -1));
  const page = newest.slice(0, limit);
  const last = page.at(-1);
  const workflows = page.map(({ summary }) => summary);
  return newest.length > limit && last ? { workflows, cursor: encodeCursor(last.place) } : { workflows };
}

const time = (ms: string) => new Date(Number(ms)).toISOString();
