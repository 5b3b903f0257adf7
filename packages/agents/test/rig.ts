import { createHash } from "node:crypto";
import { createLogger, noTracer, type Redact, type Tracer } from "@flotilla/runtime";
import {
  type BlobStore,
  ClaimLostError,
  type HoldAnswer,
  type Payment,
  type Spend,
  type ClaimedTask,
  type Journal,
  type JournalEntry,
  type Json,
  type RecordedStep,
  type SharedAccess,
  StoreUnavailableError,
  type TaskOutcome,
} from "@flotilla/workflow";
import type { Agent } from "../src/agent.ts";
import { createExecutor, type ExecutorOptions } from "../src/execute.ts";
import { createModel, type Model } from "../src/models/model.ts";

/** A journal in memory that outlives the runs of a task, counts what is asked of it, and can lose its claim. */
class MemoryJournal implements Journal {
  readonly entries: JournalEntry[] = [];
  readonly messages: string[] = [];
  loads = 0;
  /** What was set apart and is neither paid for nor released. */
  readonly holds = new Map<string, Spend>();
  readonly payments: Spend[] = [];
  /** What the next holds are answered; `held` after that. */
  readonly nextHolds: HoldAnswer[] = [];
  /** How many more records are taken before the claim is lost, as if the worker had died there. */
  recordsLeft = Number.POSITIVE_INFINITY;

  async load(): Promise<JournalEntry[]> {
    this.loads += 1;
    return structuredClone(this.entries);
  }

  async record(entry: JournalEntry, payment?: Payment): Promise<void> {
    this.#write(entry);
    if (!payment) return;
    this.payments.push(payment.spend);
    if (payment.hold !== undefined) this.holds.delete(payment.hold);
  }

  async hold(hold: string, atMost: Spend): Promise<HoldAnswer> {
    this.holds.set(hold, atMost);
    return this.nextHolds.shift() ?? "held";
  }

  async release(hold: string): Promise<void> {
    this.holds.delete(hold);
  }

  /** What the workflow shares: value and version by name. */
  readonly shared = new Map<string, { value: Json; version: number }>();
  hasRoom = true;

  async share({ key, inputHash, name, change }: SharedAccess): Promise<RecordedStep | undefined> {
    const held = this.shared.get(name) ?? { value: null, version: 0 };
    const isSet = change?.version === held.version;
    if (isSet && !this.hasRoom) return undefined;
    const now = isSet && change ? { value: change.value, version: held.version + 7 } : held;
    const entry = { key, inputHash, result: { value: { isSet, ...now } } };
    this.#write(entry);
    this.shared.set(name, now);
    return entry;
  }

  async intend(entry: JournalEntry): Promise<void> {
    this.#write(entry);
  }

  async conclude(entry: JournalEntry): Promise<void> {
    this.#write(entry);
  }

  async withdraw(key: string): Promise<void> {
    this.entries.splice(0, this.entries.length, ...this.entries.filter((entry) => entry.key !== key));
  }

  #write(entry: JournalEntry): void {
    if (this.recordsLeft <= 0) throw new ClaimLostError("superseded");
    this.recordsLeft -= 1;
    const place = this.entries.findIndex(({ key }) => key === entry.key);
    if (place < 0) this.entries.push(structuredClone(entry));
    else this.entries[place] = structuredClone(entry);
  }

  async progress(message: string): Promise<void> {
    this.messages.push(message);
  }

  get keys(): string[] {
    return this.entries.map((entry) => entry.key);
  }
}

/** Blobs in memory. */
export class MemoryBlobs implements BlobStore {
  readonly held = new Map<string, Uint8Array>();
  /** How many more times there is no room. */
  refusals = 0;

  async put(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<{ sha256: string; bytes: number }> {
    if (this.refusals > 0) {
      this.refusals--;
      throw new StoreUnavailableError();
    }
    const chunks: Uint8Array[] = [];
    if (content instanceof Uint8Array) chunks.push(content);
    else for await (const chunk of content) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    this.held.set(sha256, bytes);
    return { sha256, bytes: bytes.length };
  }

  async get(sha256: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const bytes = this.held.get(sha256);
    return bytes && chunksOf(bytes);
  }
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** One agent and a task for it, run as often as a test likes over one journal. */
export class Rig {
  readonly journal = new MemoryJournal();
  readonly blobs = new MemoryBlobs();
  readonly #agent: Agent;
  readonly #model: Model;
  readonly #tracer: Tracer;
  readonly #redact: Redact | undefined;
  readonly #shared: Pick<ExecutorOptions, "circuits" | "limits">;

  constructor(
    agent: Agent,
    model: Model = createModel(),
    tracer: Tracer = noTracer,
    redact?: Redact,
    shared: Pick<ExecutorOptions, "circuits" | "limits"> = {},
  ) {
    this.#agent = agent;
    this.#model = model;
    this.#tracer = tracer;
    this.#redact = redact;
    this.#shared = shared;
  }

  run(task: Partial<ClaimedTask> = {}, signal: AbortSignal = new AbortController().signal): Promise<TaskOutcome> {
    const execute = createExecutor({
      agents: [this.#agent],
      blobs: this.blobs,
      model: this.#model,
      logger: createLogger({ role: "agent", level: "silent" }),
      tracer: this.#tracer,
      ...(this.#redact && { redact: this.#redact }),
      ...this.#shared,
    });
    return execute(taskOf(this.#agent, task), this.journal, signal);
  }
}

function taskOf(agent: Agent, task: Partial<ClaimedTask>): ClaimedTask {
  return {
    tenant: "default",
    workflowId: "wf_00_00000000000000000000000000",
    taskId: "main",
    agent: agent.type,
    input: null,
    attempt: 1,
    claim: 1,
    epoch: 1,
    ...task,
  };
}
