import type { EventBody, WorkflowState } from "@flotilla/workflow";
import { fold, isSettled } from "@flotilla/workflow";
import { tagOf } from "../keys.ts";
import { eventOf } from "../log.ts";
import type { Scripts } from "../scripts.ts";
import { sharedFields } from "../shared-fields.ts";
import { specsOfEvent } from "../spec.ts";
import type { History } from "./archive.ts";

/**
 * What is added to the epoch of each open task: a claim that was made after the last line that the archive has can have
 * no epoch above it.
 */
const epochsAhead = 1000;

/** A claim as it was archived. See lua/prelude.lua for the text. */
interface ArchivedClaim {
  taskId: string;
  attempt: number;
  dispatch: number;
  epoch: number;
  claims: number;
  state: string;
  completedAt: number;
}

/** How a restore went. */
export interface Restored {
  outcome: "restored" | "present";
  state: WorkflowState;
  /** Tasks that were running, and are handed to another worker. */
  released: readonly string[];
}

/**
 * Puts a workflow back into Redis from the archive, in one step, unless Redis has it. What ran is released, which spends
 * no attempt; the effects in its journal say for themselves what is to become of them when it runs again. An ended one is
 * kept until `keptUntil`; `isExported` says that all its events are known to be in the stream. Times are ms since the epoch.
 */
export async function restore(
  scripts: Scripts,
  history: History,
  { now, keptUntil, isExported = false }: { now: number; keptUntil: number; isExported?: boolean },
): Promise<Restored> {
  const { id, lines, fields, journals, outputs, idempotency, incarnation } = history;
  const state = fold(id, undefined, lines.map(eventOf));
  const open = openClaims(state, fields);
  const facts = history.hasEnded ? [] : open.flatMap(factsOf);
  const index: Record<string, string | number> = {
    ...Object.fromEntries(specFields(state, history)),
    ...fields,
    ...Object.fromEntries(sharedFields(state)),
    ...(history.hasEnded ? {} : Object.fromEntries(open.map(closed))),
    incarnation: incarnation + 1,
    shipped: history.hasEnded ? lines.length : 0,
    changes: 0,
    shippedChanges: 0,
    archived: history.hasEnded ? 1 : 0,
    ...(isExported && { exported: lines.length }),
    seen: 1,
    wants: 0,
    quiet: 0,
    wave: 0,
    unsure: 1,
    token: "",
  };
  const lists: (string | number)[][][] = [
    Object.entries(index),
    lines.map(({ at, text }) => [at, text]),
    facts.map((fact) => [JSON.stringify(fact)]),
    Object.entries(journals).flatMap(([task, entries]) =>
      Object.entries(entries).map(([key, value]) => [task, key, value]),
    ),
    Object.entries(outputs),
    history.hasEnded ? [] : itemsOf(history),
  ];
  const outcome = await scripts.item("restore", tagOf(id), [
    id,
    state.tenant,
    state.status,
    JSON.stringify(state.request.tags ?? {}),
    state.createdAt,
    history.hasEnded ? keptUntil : 0,
    idempotency ? (fields["idempotency"] ?? "") : "",
    idempotency?.value ?? "",
    idempotency ? Math.max(0, idempotency.until - now) : 0,
    ...lists.flatMap((list) => [list.length, ...list.flat()]),
  ]);
  const released = open.filter(({ state: claim }) => claim === "held").map(({ taskId }) => taskId);
  return { outcome: outcome === "restored" ? "restored" : "present", state, released };
}

/** The claims of the tasks that are open and were dispatched, whether anybody had claimed them or not. */
function openClaims({ tasks }: WorkflowState, fields: History["fields"]): ArchivedClaim[] {
  return [...tasks.values()].flatMap((task): ArchivedClaim[] => {
    const { id: taskId, attempt, dispatch, epoch } = task;
    if (isSettled(task.stage)) return [];
    const text = fields[`claim:${taskId}`];
    if (text !== undefined) return [claimOf(taskId, text)];
    const unclaimed = { taskId, attempt, dispatch, epoch, claims: 0, state: "open", completedAt: 0 };
    return dispatch > 0 ? [unclaimed] : [];
  });
}

function claimOf(taskId: string, text: string): ArchivedClaim {
  const [attempt, dispatch, epoch, claims, state = "", , , completedAt] = text.split(" ");
  const numbers = {
    attempt: Number(attempt),
    dispatch: Number(dispatch),
    epoch: Number(epoch),
    claims: Number(claims),
  };
  return { taskId, ...numbers, state, completedAt: Number(completedAt) };
}

/** What the log says of an open task that was claimed before the loss. */
function factsOf({ taskId, attempt, epoch, state, dispatch }: ArchivedClaim): EventBody[] {
  const released: EventBody = { type: "task.released", taskId, attempt, epoch, data: { reason: "rebuilt" } };
  const repaired: EventBody = {
    type: "repair.applied",
    taskId,
    attempt,
    epoch: epoch + epochsAhead,
    data: { kind: "rebuilt", dispatch },
  };
  return state === "held" ? [released, repaired] : [repaired];
}

function closed(claim: ArchivedClaim): [string, string] {
  const { taskId, attempt, dispatch, epoch, claims, completedAt } = claim;
  const state = claim.state === "held" ? "revoked" : claim.state;
  return [`claim:${taskId}`, `${attempt} ${dispatch} ${epoch + epochsAhead} ${claims} ${state} - 0 ${completedAt}`];
}

function specFields(state: WorkflowState, { lines }: History): [string, string][] {
  return lines.flatMap((line) => specsOfEvent(eventOf(line), state));
}

function itemsOf({ fields, lines }: History): [string, string, number][] {
  return [...(fields["items"] ?? "").matchAll(/(\d+):(\S+) /g)].map(([, seq = "", kind = ""]) => [
    seq,
    kind,
    lines[Number(seq) - 1]?.at ?? 0,
  ]);
}
