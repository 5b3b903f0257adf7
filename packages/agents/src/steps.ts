import { createHash } from "node:crypto";
import {
  AttestedResult,
  type BlobStore,
  canonicalJson,
  type Journal,
  type JournalEntry,
  type Json,
  type Payment,
  type RecordedStep,
  ShutdownError,
  TaskError,
} from "@flotilla/workflow";
import { z } from "zod";

/** Most steps that one run of a task may take, replayed ones included. */
export const maxSteps = 10_000;

/** Largest result, in bytes of JSON, that stands in the journal itself; larger ones are blobs. */
export const maxInlineBytes = 32 * 1024;

const JsonValue = z.custom<Json>((value) => value !== undefined);

/** What stands in the journal for a result: the value, the blob that holds its JSON, or what a person said it was. */
const StepRecord = z.union([
  z.strictObject({ value: JsonValue }),
  z.strictObject({ blob: z.string(), bytes: z.int() }),
  AttestedResult,
]);

/** What durable steps need: the journal of the claimed task, and a place for large results. */
export interface StepsOptions {
  journal: Journal;
  blobs: BlobStore;
  /** Whether an earlier claim or attempt may have recorded steps; if not, the journal is not even asked. */
  mayReplay: boolean;
  signal: AbortSignal;
  /** Begins every key: what stands under others in the journal is of another agent that had the task before. */
  scope?: string;
  /**
   * How often the task was told to do its work anew. What it then does with the very input that it did it with before
   * is replayed; with any other, it is a step of its own.
   */
  revision?: number;
}

/**
 * The durable steps of one run of a task. A step that an earlier claim or attempt recorded is replayed; any other
 * runs, and its result is on record before the caller sees it, so that a kill costs at most the steps in flight.
 */
export class Steps {
  readonly #options: StepsOptions;
  /** What begins the keys of this run. */
  readonly #scope: string;
  /** What began them before the task was told to do its work anew, the latest first. */
  readonly #earlier: readonly string[];
  readonly #calls = new Map<string, number>();
  #taken = 0;
  #end: Error | undefined;
  #recorded: Promise<Map<string, JournalEntry>> | undefined;

  constructor(options: StepsOptions) {
    const { scope = "", revision = 0 } = options;
    this.#options = options;
    const scopes = Array.from({ length: revision + 1 }, (_, number) => (number === 0 ? scope : `${scope}#~${number}/`));
    const [own = scope, ...earlier] = scopes.toReversed();
    this.#scope = own;
    this.#earlier = earlier;
  }

  /** The key of the next step of that name. Call it in the order of the program, before anything is awaited. */
  keyFor(name: string): string {
    // Calls of a model name their steps by the key of their conversation.
    const key = name.startsWith(this.#scope) ? name : `${this.#scope}${name}`;
    const call = (this.#calls.get(key) ?? 0) + 1;
    this.#calls.set(key, call);
    return call === 1 ? key : `${key}#${call}`;
  }

  /**
   * A key as it would be without the scope of the agent: what the world outside knows an effect by is the same for every
   * agent. What is done anew with another input is another effect.
   */
  bare(key: string): string {
    return key.slice(this.#options.scope?.length ?? 0);
  }

  /**
   * Replays the result under `key`, or runs `fn` and records what it gives. The result is what JSON keeps of it, the
   * first time as in a replay. Throws `TaskError` when the record was made with another input or when there are too
   * many steps, the reason of the signal when it is aborted, and whatever `fn` or the journal throw.
   */
  async run<T extends Json>(key: string, input: Json, fn: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.runPaid(key, input, async (signal) => ({ result: await fn(signal), payment: undefined }));
  }

  /** As `run`, for a step that costs something: what it cost is counted in the moment that its result is on record. */
  async runPaid<T extends Json>(
    key: string,
    input: Json,
    fn: (signal: AbortSignal) => Promise<{ result: T; payment: Payment | undefined }>,
  ): Promise<T> {
    const { signal, journal } = this.#options;
    const { inputHash, known } = await this.find(key, input);
    if (known) {
      if (!("result" in known)) throw nondeterministic(`step ${key} was an effect before, and is none now`);
      // The same step with the same input recorded it, so it has the type that `fn` gives.
      return (await this.read(known)) as T;
    }

    signal.throwIfAborted();
    const { result, payment } = await fn(signal);
    const text = JSON.stringify(result) ?? "null";
    // A shutdown still keeps what has been paid for: the claim stands until the task is handed back.
    if (signal.aborted && !(signal.reason instanceof ShutdownError)) throw signal.reason;
    await journal.record({ key, inputHash, result: await this.keep(text) }, payment);
    // Parsed from what was recorded, so it has the type of what `fn` gave.
    return JSON.parse(text) as T;
  }

  /**
   * Counts a step, and finds what the journal holds of it, be it under the key of an earlier revision. Throws as `run`
   * does.
   */
  async find(key: string, input: Json): Promise<{ inputHash: string; known: JournalEntry | undefined }> {
    if (this.#end) throw this.#end;
    this.#taken += 1;
    if (this.#taken > maxSteps) throw dataError("too-many-steps", `a task takes at most ${maxSteps} steps`);
    const inputHash = sha256(canonicalJson(input));
    const entries = await this.#load();
    const known = entries.get(key) ?? this.#before(entries, key, inputHash);
    if (known && known.inputHash !== inputHash) {
      throw nondeterministic(`step ${key} was recorded with another input than it is called with now`);
    }
    return { inputHash, known };
  }

  /** What was done under that key, with that very input, before the task was told to do its work anew. */
  #before(entries: ReadonlyMap<string, JournalEntry>, key: string, inputHash: string): JournalEntry | undefined {
    const name = key.slice(this.#scope.length);
    return this.#earlier
      .map((scope) => entries.get(scope + name))
      .find((entry) => entry !== undefined && entry.inputHash === inputHash);
  }

  /** From now on every step is refused with this error: whatever the agent makes of it, the run has come to its end. */
  end(error: Error): void {
    this.#end ??= error;
  }

  /**
   * The results that earlier runs recorded under keys that begin with `prefix`, those of the latest revision last. A run that has taken no step gets
   * none and does not ask the journal, for what it did cannot rest on a step.
   */
  async recorded(prefix: string): Promise<Json[]> {
    const entries = this.#recorded ? [...(await this.#recorded).values()] : [];
    const results = entries.filter((entry) => "result" in entry);
    const inOrder = [...this.#earlier.toReversed(), this.#scope].flatMap((scope) =>
      results.filter(({ key }) => key.startsWith(scope + prefix)),
    );
    return Promise.all(inOrder.map((entry) => this.read(entry)));
  }

  #load(): Promise<Map<string, JournalEntry>> {
    this.#recorded ??= this.#options.mayReplay
      ? this.#options.journal.load().then((entries) => new Map(entries.map((entry) => [entry.key, entry])))
      : Promise.resolve(new Map());
    return this.#recorded;
  }

  /** How a result of that JSON stands in the journal. */
  async keep(text: string): Promise<Json> {
    const bytes = Buffer.from(text);
    if (bytes.length <= maxInlineBytes) return { value: JSON.parse(text) };
    const blob = await this.#options.blobs.put(bytes);
    return { blob: blob.sha256, bytes: blob.bytes };
  }

  /** The result that an entry holds. */
  async read(entry: RecordedStep): Promise<Json> {
    const record = StepRecord.parse(entry.result);
    if ("value" in record) return record.value;
    if ("attested" in record) return record.attested;
    const content = await this.#options.blobs.get(record.blob, this.#options.signal);
    if (!content) {
      throw new TaskError({
        class: "transient",
        code: "blob-missing",
        message: `the result of step ${entry.key} is not there`,
      });
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString());
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function nondeterministic(message: string): TaskError {
  return dataError("nondeterministic", message);
}

function dataError(code: string, message: string): TaskError {
  return new TaskError({ class: "data", code, message });
}
