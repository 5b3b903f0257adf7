import { type FileHandle, open, readFile } from "node:fs/promises";

/** What the fleet has promised: a line for each 202, written outside of it. */
export interface Ack {
  id: string;
  idempotencyKey: string;
  /** When the answer came, in ms since the epoch. */
  at: number;
  /** The tasks in the order in which they must run. */
  tasks: readonly string[];
  /** The keys of its effects: each must be applied once, and no more. */
  effects: readonly string[];
}

/** The acknowledgements of a run, on disk before anybody counts on them. */
export class Ledger {
  readonly path: string;
  readonly #file: FileHandle;
  #waiting: { line: string; resolve(): void; reject(error: unknown): void }[] = [];
  #isWriting = false;
  /** Acknowledgements that are on disk. */
  count = 0;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<Ledger> {
    return new Ledger(path, await open(path, "a", 0o600));
  }

  /** Resolves when the line is on disk. */
  record(ack: Ack): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ line: `${JSON.stringify(ack)}\n`, resolve, reject });
    void this.#write();
    return promise;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** One write for all that came while the last one was under way. */
  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#file.appendFile(batch.map(({ line }) => line).join(""));
        await this.#file.datasync();
        this.count += batch.length;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }
}

/** Every acknowledgement in a ledger. */
export async function readLedger(path: string): Promise<Ack[]> {
  const text = await readFile(path, "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      // `record` wrote the line.
      return JSON.parse(line) as Ack;
    });
}
