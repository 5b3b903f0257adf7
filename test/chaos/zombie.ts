import { setTimeout as delay } from "node:timers/promises";
import { type Claim, Claims, type Connection, type Scripts } from "@flotilla/fleet";
import { type BlobStore, ClaimLostError } from "@flotilla/workflow";

/** A task of a workflow, as a worker finds it in its queue. */
export interface Target {
  workflowId: string;
  taskId: string;
}

/** A worker that has claimed a task and then does nothing until long after its lease: what it writes then is late. */
export class Zombie {
  readonly target: Target;
  readonly #claims: Claims;
  readonly #claim: Claim;
  readonly #refusals: () => number;

  private constructor(target: Target, claims: Claims, claim: Claim, refusals: () => number) {
    this.target = target;
    this.#claims = claims;
    this.#claim = claim;
    this.#refusals = refusals;
  }

  /** Resolves when it has the claim, as soon as there is one to be had. */
  static async raise(
    store: { scripts: Scripts; blobs: BlobStore },
    target: Target,
    signal: AbortSignal,
  ): Promise<Zombie> {
    let refusals = 0;
    const claims = new Claims({ ...store, worker: "zombie", onRefused: () => refusals++ });
    const holder = claims.newHolder();
    for (;;) {
      const claim = await claims.claim({ ...target, attempt: 1, dispatch: 1 }, holder);
      if (typeof claim !== "string") return new Zombie(target, claims, claim, () => refusals);
      if (claim !== "unknown") throw new Error(`a zombie was told ${claim}`);
      await delay(50, undefined, { signal });
    }
  }

  /** Writes all that a worker may write under its claim; the kinds of those that were taken. */
  async writeLate(): Promise<string[]> {
    const claims = this.#claims;
    const claim = this.#claim;
    const journal = claims.journal(claim);
    const error = { class: "critical" as const, code: "zombie", message: "a late failure" };
    const writes: Record<string, () => Promise<unknown>> = {
      step: () => journal.record({ key: "zombie", inputHash: "", result: null }),
      progress: () => journal.progress("late"),
      completed: () => claims.record(claim, { kind: "completed", output: { output: "zombie" } }),
      failed: () => claims.record(claim, { kind: "failed", error }),
      released: () => claims.release(claim, "late"),
    };
    const taken = (await claims.renew(claim)) === "renewed" ? ["renew"] : [];
    for (const [kind, write] of Object.entries(writes)) {
      const before = this.#refusals();
      await write().catch(ifNotLost);
      if (this.#refusals() === before) taken.push(kind);
    }
    return taken;
  }

  /** What a store without epochs would let happen: the result goes into the log, whoever has the task now. */
  async writeWithoutEpoch(connection: Connection): Promise<void> {
    const { workflowId, taskId } = this.target;
    const key = `${this.#claim.tag}:wf:${workflowId}`;
    const event = {
      type: "task.completed",
      taskId,
      attempt: 1,
      data: { outputBytes: 8, output: { output: "zombie" } },
    };
    for (;;) {
      const seq = await connection.hincrby(`${key}:index`, "tip", 1);
      const isWritten = await connection
        .xadd(`${key}:log`, `${seq}-0`, "at", Date.now(), "event", JSON.stringify(event))
        .catch(ifOvertaken);
      if (isWritten) return;
    }
  }
}

/** Somebody else wrote a line between the two commands. */
function ifOvertaken(error: unknown): undefined {
  if (!(error instanceof Error) || !error.message.includes("equal or smaller")) throw error;
}

function ifNotLost(error: unknown): void {
  if (!(error instanceof ClaimLostError)) throw error;
}
