import { randomBytes } from "node:crypto";
import {
  type BlobStore,
  type ClaimedTask,
  ClaimLostError,
  type Dispatch,
  type EventBody,
  type HoldAnswer,
  type Journal,
  type JournalEntry,
  type Json,
  maxSharedBytes,
  type Payment,
  type Postponement,
  type RecordedStep,
  resolveTemplates,
  ShutdownError,
  StoreUnavailableError,
  TaskError,
  type TaskOutcome,
} from "@flotilla/workflow";
import type { Shipper } from "./archive/shipper.ts";
import { tagOf } from "./keys.ts";
import { withGiven } from "./given.ts";
import { keepOutput, loggedOutputBytes, readOutput } from "./outputs.ts";
import type { TaskJob } from "./queues.ts";
import type { Reply, Scripts } from "./scripts.ts";
import type { Spec } from "./spec.ts";
import { waveDispatches } from "./wave.ts";

/** How long a claim holds without being renewed, in ms. */
export const leaseMs = 6000;

/** A look makes sure of the jobs that a worker adds after a record within this time, in ms. */
const sureMs = 5000;

/** Outputs that a claim answers itself, in bytes; what is beyond is read one by one. */
const inlineOutputBytes = 65_536;

/** Why a task was not claimed: whatever it is, the job is done. */
export type Unclaimed = "held" | "settled" | "superseded" | "cancelled" | "ended" | "unknown";

/** A task that this process holds until it has recorded how it ended, or lost it. */
export interface Claim {
  readonly tag: string;
  readonly workflowId: string;
  readonly taskId: string;
  readonly agent: string;
  readonly tenant: string;
  readonly attempt: number;
  readonly claim: number;
  readonly epoch: number;
  /** Workers that had died under the task when it was dispatched. */
  readonly deaths: number;
  /** Unique, and the same in every try to claim: a claim repeated because its answer was lost gets that answer. */
  readonly holder: string;
  readonly spec: Spec;
  readonly workflowInput: Json;
  readonly outputs: ReadonlyMap<string, Reply>;
}

/** Claims, and everything that is written under one; see lua/. Every call may be repeated when its answer was lost. */
export class Claims {
  readonly #scripts: Scripts;
  readonly #blobs: BlobStore;
  readonly #worker: string;
  readonly #onRefused: (script: string) => void;
  readonly #shipper: Shipper | undefined;
  readonly #process = randomBytes(9).toString("base64url");
  #claims = 0;

  constructor(deps: {
    scripts: Scripts;
    blobs: BlobStore;
    worker: string;
    /** At the level `archive`: brings a workflow into the archive before an effect may happen. */
    shipper?: Shipper | undefined;
    onRefused(script: string): void;
  }) {
    this.#scripts = deps.scripts;
    this.#blobs = deps.blobs;
    this.#worker = deps.worker;
    this.#onRefused = deps.onRefused;
    this.#shipper = deps.shipper;
  }

  /** A holder that no other claim has or will have. */
  newHolder(): string {
    this.#claims++;
    return `${this.#process}.${this.#claims}`;
  }

  async claim(
    { workflowId, taskId, attempt, dispatch, deaths = 0 }: TaskJob,
    holder: string,
  ): Promise<Claim | Unclaimed> {
    const tag = tagOf(workflowId);
    const reply = await this.#scripts.item(
      "claim",
      tag,
      [workflowId, taskId, attempt, dispatch, holder, this.#worker],
      [leaseMs, inlineOutputBytes],
    );
    // See the header of lua/claim.lua for the shape.
    if (isUnclaimed(reply)) return reply[0];
    const [, epoch, claim, tenant, json, input, ...outputs] = reply as [
      "claimed",
      number,
      number,
      string,
      string,
      string | null,
      ...(string | null)[],
    ];
    const spec = JSON.parse(json) as Spec;
    return {
      tag,
      workflowId,
      taskId,
      agent: spec.agent,
      tenant,
      attempt,
      claim,
      epoch,
      deaths,
      holder,
      spec,
      workflowInput: input === null ? null : (JSON.parse(input) as Json),
      outputs: new Map(spec.needs.map((need, index) => [need, outputs[index] ?? null])),
    };
  }

  /** The claimed task with its templates filled in. Throws `TaskError` of class `data` when that is not possible. */
  async task(claim: Claim): Promise<ClaimedTask> {
    const values = new Map<string, Json>();
    for (const [taskId, inline] of claim.outputs) {
      const kept = inline === "?" ? await this.#scripts.item("outputs", claim.tag, [claim.workflowId, taskId]) : inline;
      if (typeof kept === "string") values.set(taskId, await readOutput(this.#blobs, kept));
    }
    const { tenant, workflowId, taskId, agent, attempt, epoch } = claim;
    const { grant, scope, budget, revision } = claim.spec;
    // What an agent handed over is as it stands: a text of its that looks like a template is none.
    const input = grant
      ? claim.spec.input
      : resolveTemplates(claim.spec.input, { input: claim.workflowInput, output: (id) => values.get(id) });
    const own = {
      ...(grant && { grant }),
      ...(budget && { budget }),
      ...(scope !== undefined && { scope }),
      ...(revision && { revision }),
    };
    return { tenant, workflowId, taskId, agent, input, attempt, claim: claim.claim, epoch, ...own };
  }

  /**
   * Records how the task ended. Answers what that scheduled, for the caller to dispatch; undefined when the claim was
   * lost, and nothing was written.
   */
  async record(claim: Claim, outcome: TaskOutcome): Promise<readonly Dispatch[] | undefined> {
    const { taskId, attempt, epoch } = claim;
    const at = { taskId, attempt, epoch };
    switch (outcome.kind) {
      case "completed":
        return this.#complete(claim, outcome);
      case "failed":
        return this.#record(claim, "failed", "", false, { type: "task.failed", ...at, data: { error: outcome.error } });
      case "parked": {
        const { doubt: detail } = outcome;
        const summary = `nobody knows whether ${detail.tool} of task ${taskId} has happened`;
        const data = { kind: "outcome-unknown" as const, summary, detail };
        return this.#record(claim, "parked", "", false, { type: "item.opened", ...at, data });
      }
      case "asks": {
        const data = { kind: "approval" as const, ...outcome.approval };
        return this.#record(claim, "parked", "", false, { type: "item.opened", ...at, data });
      }
      case "awaits": {
        const { awaits } = outcome;
        const data = { reason: `waits for the signal ${awaits.signal}`, awaits };
        return this.#record(claim, "released", "", false, { type: "task.released", ...at, data });
      }
      case "postponed": {
        const { by } = outcome;
        const data = { reason: postponementWords(by), postponed: by };
        return this.#record(claim, "released", "", false, { type: "task.released", ...at, data });
      }
      case "hands-over":
        return this.#record(claim, "released", "", false, { type: "handoff.requested", ...at, data: outcome.handoff });
      case "died": {
        const data = { deaths: claim.deaths + 1, isolated: outcome.reason };
        return this.#record(claim, "died", "", false, { type: "task.crashed", ...at, data });
      }
    }
  }

  async #complete(
    claim: Claim,
    outcome: Extract<TaskOutcome, { kind: "completed" }>,
  ): Promise<readonly Dispatch[] | undefined> {
    const { taskId, attempt, epoch } = claim;
    const json = JSON.stringify(outcome.output);
    const bytes = Buffer.byteLength(json);
    const { artifacts, append } = outcome;
    const data = {
      outputBytes: bytes,
      ...(bytes <= loggedOutputBytes ? { output: outcome.output } : {}),
      ...(artifacts?.length ? { artifacts } : {}),
      ...(append ? { append } : {}),
    };
    // Beside the log an earlier try may have left an output, which would hide one that only the log has.
    const kept = await keepOutput(this.#blobs, json, bytes, attempt > 1 ? 0 : loggedOutputBytes);
    return this.#record(claim, "completed", kept, !append, {
      type: "task.completed",
      taskId,
      attempt,
      epoch,
      data,
    });
  }

  /** Hands the task back: it is dispatched again as the same attempt. */
  async release(claim: Claim, reason: string): Promise<void> {
    const { taskId, attempt, epoch } = claim;
    await this.#record(claim, "released", "", false, {
      type: "task.released",
      taskId,
      attempt,
      epoch,
      data: { reason },
    });
  }

  /** Renews the lease; else why the claim is lost. */
  async renew({ tag, workflowId, taskId, epoch, holder }: Claim): Promise<"renewed" | ClaimLostError["reason"]> {
    const answer = await this.#scripts.item("renew", tag, [workflowId, taskId, epoch, holder], [leaseMs]);
    return answer === "renewed" ? "renewed" : lostReason(answer);
  }

  /** The journal of a claimed task. */
  journal(claim: Claim): Journal {
    const { tag, workflowId, taskId, attempt, epoch, holder } = claim;
    const write = async (kind: StepWrite, key: string, value?: unknown, before = "") => {
      const text = value === undefined ? "" : before + JSON.stringify(value);
      const item = [workflowId, taskId, epoch, holder, kind, key, text];
      // What an effect does outside outlives any failover of Redis, so its intent must.
      const answer = await (kind === "intent"
        ? this.#scripts.durably("step", tag, item)
        : this.#scripts.item("step", tag, item));
      if (answer === "kept") return kind === "intent" ? this.#archive(workflowId) : undefined;
      this.#onRefused("step");
      throw new ClaimLostError(lostReason(answer));
    };
    const held = (answer: Reply): HoldAnswer => {
      if (answer === "held" || answer === "busy" || answer === "exhausted") return answer;
      this.#onRefused("hold");
      throw new ClaimLostError(lostReason(answer));
    };
    return {
      load: async () => {
        // Keys and values by turns, each value as `record` wrote it.
        const flat = (await this.#scripts.item("journal", tag, [workflowId, taskId])) as string[];
        const entries: JournalEntry[] = [];
        for (let index = 1; index < flat.length; index += 2)
          entries.push(JSON.parse(flat[index] ?? "") as JournalEntry);
        return Promise.all(entries.map((entry) => withGiven(this.#scripts, this.#blobs, claim, entry)));
      },
      record: (entry, payment) =>
        payment ? write("paid", entry.key, entry, paymentText(payment)) : write("result", entry.key, entry),
      hold: async (hold, atMost) => {
        const { microUsd = "", tokens = "" } = claim.spec.budget ?? {};
        const bounds = [atMost.microUsd, atMost.input + atMost.output, microUsd, tokens];
        return held(await this.#scripts.item("hold", tag, [workflowId, taskId, epoch, holder, hold, ...bounds]));
      },
      release: (hold) => write("release", hold),
      share: async ({ key, inputHash, name, change }) => {
        const entry = `{"key":${JSON.stringify(key)},"inputHash":${JSON.stringify(inputHash)},"result":{"value":`;
        const { version = "", value = null } = change ?? {};
        const event: EventBody = { type: "state.changed", taskId, attempt, epoch, data: { name, value } };
        const texts = [JSON.stringify(value), JSON.stringify(event)];
        const item = [workflowId, taskId, epoch, holder, key, entry, name, version, ...texts];
        const answer = await this.#scripts.item("share", tag, item, [maxSharedBytes]);
        if (answer === "full") return undefined;
        if (typeof answer === "string" && answer.startsWith("{")) return JSON.parse(answer) as RecordedStep;
        this.#onRefused("share");
        throw new ClaimLostError(lostReason(answer));
      },
      intend: (entry) => write("intent", entry.key, entry),
      conclude: (entry) => write("outcome", entry.key, entry),
      withdraw: (key) => write("withdrawal", key),
      progress: (message) => {
        const event: EventBody = { type: "task.progressed", taskId, attempt, epoch, data: { message } };
        return write("progress", "", event);
      },
    };
  }

  async #archive(workflowId: string): Promise<void> {
    try {
      await this.#shipper?.ship(workflowId);
    } catch (error) {
      // As long as the archive is away no effect begins: to ask again is all that can be done.
      throw new StoreUnavailableError({ cause: error });
    }
  }

  async #record(
    claim: Claim,
    kind: string,
    output: string,
    mayBeQuiet: boolean,
    event: EventBody,
  ): Promise<readonly Dispatch[] | undefined> {
    const { tag, workflowId, taskId, epoch, holder } = claim;
    const item = [workflowId, taskId, epoch, holder, kind, output, mayBeQuiet ? 1 : 0, JSON.stringify(event)];
    // See the header of lua/record.lua for the shape.
    const [answer, wave = ""] = (await this.#scripts.item("record", tag, item, [sureMs])) as [string, string?];
    if (answer === "recorded") return waveDispatches(wave);
    this.#onRefused("record");
    return undefined;
  }
}

/** What lua/step.lua writes. */
type StepWrite = "result" | "paid" | "release" | "intent" | "outcome" | "withdrawal" | "progress";

/** What lua/step.lua reads before an entry that was paid for. */
function paymentText({ spend: { microUsd, input, output }, hold = "-" }: Payment): string {
  return `${microUsd} ${input} ${output} ${hold} `;
}

/** Every answer but `claimed` stands alone. */
function isUnclaimed(reply: Reply): reply is [Unclaimed] {
  return Array.isArray(reply) && reply.length === 1;
}

function lostReason(answer: Reply): ClaimLostError["reason"] {
  return answer === "cancelled" || answer === "ended" ? answer : "superseded";
}

function postponementWords({ reason, of }: Postponement): string {
  switch (reason) {
    case "circuit-open":
      return `waits while the circuit ${of} is open`;
    case "provider-limit":
      return `waits for the limit of ${of}`;
    case "budget":
      return "waits for what other calls have set apart of the budget";
  }
}

/** The outcome of a task whose input could not be made. */
export function unresolved(error: unknown): TaskOutcome {
  if (error instanceof TaskError) return { kind: "failed", error: error.failure };
  if (error instanceof ShutdownError) throw error;
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", error: { class: "unknown", code: "input-unavailable", message } };
}
