import type { DurabilitySettings } from "@flotilla/runtime";
import type { Archive, WorkflowState } from "@flotilla/workflow";
import { tagOf } from "../keys.ts";
import { advance, type FoldedLog, type Line } from "../log.ts";
import { LruMap } from "../lru-map.ts";
import type { Scripts } from "../scripts.ts";
import { WorkflowArchive } from "./archive.ts";
import type { ArchiveRecord } from "./record.ts";
import { numberOf, type Snapshot, takeSnapshot } from "./snapshot.ts";

/** How long until the archive looks at a workflow again, in ms: what it lacks is a second old at most. */
export const shipEveryMs = 1000;

/** Workflows whose folded state is kept between two turns. */
const cachedWorkflows = 2000;

export interface ShipperDeps {
  scripts: Scripts;
  archive: WorkflowArchive;
  /** Longest time between two checkpoints of a workflow in which something happens, in ms. */
  checkpointEveryMs: number;
  /** Whether this process exports what is archived. */
  hasExport?: boolean;
}

/** Brings workflows into the archive, as far as it lacks them. Doing that twice, or in two processes at once, is harmless. */
export class Shipper {
  readonly #deps: ShipperDeps;
  readonly #cache = new LruMap<string, FoldedLog>(cachedWorkflows);

  constructor(deps: ShipperDeps) {
    this.#deps = deps;
  }

  /** Resolves once the archive has all that Redis had of the workflow when this was called. */
  async ship(id: string): Promise<void> {
    const turn = await this.#read(id);
    if (!turn) return;
    if (turn.held.fields["endedAt"] !== undefined) return this.#shipEnd(id);
    const { held, before, folded } = turn;
    const shipped = numberOf(held, "shipped");
    const fresh = held.lines.filter(({ seq }) => seq > shipped);
    await this.#deps.archive.write(recordOf("tail", id, { ...held, lines: fresh }, [], shipped + 1), shipped > 0);
    const labels = labelsOf(before, folded.state, fresh);
    if (labels.length === 0 && this.#isCheckpointDue(held)) labels.push("interval");
    if (labels.length > 0) await this.#writeWhole("checkpoint", id, labels);
    this.#cache.set(id, folded);
    await this.#settle(id, held, { isCheckpoint: labels.length > 0, hasEnd: false });
  }

  async #shipEnd(id: string): Promise<void> {
    this.#cache.delete(id);
    const whole = await this.#writeWhole("end", id, []);
    // One that was retried meanwhile has its turn as an open one.
    if (whole) await this.#settle(id, whole, { isCheckpoint: false, hasEnd: true });
  }

  async #writeWhole(kind: "checkpoint" | "end", id: string, labels: string[]): Promise<Snapshot | undefined> {
    const whole = await takeSnapshot(this.#deps.scripts, id, { from: 1, since: 0 });
    const hasEnded = whole?.fields["endedAt"] !== undefined;
    if (!whole || hasEnded !== (kind === "end")) return undefined;
    const isKnown = numberOf(whole, "shipped") > 0 || numberOf(whole, "incarnation") > 1;
    await this.#deps.archive.write(recordOf(kind, id, whole, labels), isKnown);
    return whole;
  }

  /** What the archive lacks, the state before it and the state with it; undefined for a workflow that is gone. */
  async #read(
    id: string,
  ): Promise<{ held: Snapshot; before: WorkflowState | undefined; folded: FoldedLog } | undefined> {
    const { scripts } = this.#deps;
    const cached = this.#cache.get(id);
    const held = await takeSnapshot(scripts, id, { from: cached?.last.seq ?? 1, since: "shipped" });
    if (!held) return undefined;
    const folded = advance(id, cached, held.lines);
    const hasAll = (held.lines[0]?.seq ?? 0) <= numberOf(held, "shipped") + 1;
    if (folded && cached && hasAll) return { held, before: cached.state, folded };
    const whole = cached ? await takeSnapshot(scripts, id, { from: 1, since: "shipped" }) : held;
    const all = whole && advance(id, undefined, whole.lines);
    if (!all) return undefined;
    const shipped = numberOf(whole, "shipped");
    const earlier = whole.lines.filter(({ seq }) => seq <= shipped);
    return { held: whole, before: advance(id, undefined, earlier)?.state, folded: all };
  }

  #isCheckpointDue(held: Snapshot): boolean {
    const last = numberOf(held, "checkpointAt") || numberOf(held, "createdAt");
    return held.at - last >= this.#deps.checkpointEveryMs;
  }

  async #settle(id: string, held: Snapshot, end: { isCheckpoint: boolean; hasEnd: boolean }): Promise<void> {
    const item = [id, numberOf(held, "tip"), numberOf(held, "changes"), Number(end.isCheckpoint), Number(end.hasEnd)];
    await this.#deps.scripts.item("shipped", tagOf(id), item, [shipEveryMs, Number(this.#deps.hasExport ?? false)]);
  }
}

/** What brings a workflow into the archive before something is acknowledged; undefined below the level `archive`. */
export function shipperAt(
  { level }: DurabilitySettings,
  scripts: Scripts,
  objects: Archive | undefined,
): Shipper | undefined {
  if (level !== "archive") return undefined;
  if (!objects) throw new Error("the level `archive` needs an archive");
  return new Shipper({ scripts, archive: new WorkflowArchive(objects), checkpointEveryMs: Infinity });
}

function recordOf(
  kind: ArchiveRecord["kind"],
  workflowId: string,
  { at, fields, lines, journals, outputs, idempotency }: Snapshot,
  labels: string[],
  from = 1,
): ArchiveRecord {
  return {
    format: 1,
    kind,
    labels,
    workflowId,
    incarnation: Number(fields["incarnation"] ?? 1),
    from,
    to: from + lines.length - 1,
    at,
    fields,
    lines: lines.map(({ seq, at: lineAt, text }) => [seq, lineAt, text]),
    journals,
    outputs,
    ...(idempotency && { idempotency }),
  };
}

/** What these new lines brought to an end: the planning, and phases. */
function labelsOf(before: WorkflowState | undefined, after: WorkflowState, fresh: readonly Line[]): string[] {
  const isPlanned = fresh.some(({ text }) => text.startsWith('{"type":"workflow.planned"'));
  const isOver = (state: WorkflowState | undefined, phase: number) => state?.phases[phase]?.open === 0;
  const isNew = fresh.length > 0;
  const phases = after.phases.flatMap(({ request }, phase) =>
    isNew && isOver(after, phase) && !isOver(before, phase) ? [`phase_${request.name}_complete`] : [],
  );
  return [...(isPlanned ? ["planning_complete"] : []), ...phases];
}
