import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

/** One line of the effect log: what a step of the probe has done to the world outside. */
export interface Effect {
  workflowId: string;
  taskId: string;
  step: number;
  key: string;
  attempt: number;
  epoch: number;
  pid: number;
  /** False where the key already stood: the effect had happened. */
  applied: boolean;
}

const lockEveryMs = 5;

/** `SQLITE_BUSY`: somebody else has the lock. */
const busy = 5;
const readBytes = 64 * 1024;

/**
 * The world outside, as the probe sees it: a file of JSON lines that any number of processes append to, and that
 * survives the kill of each of them.
 */
export class EffectLog {
  readonly #path: string;
  readonly #applied = new Set<string>();
  #seenBytes = 0;
  #lock: DatabaseSync | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Appends the effect, applied unless its key stands already, and resolves when the line is on disk. */
  applyOnce(effect: Omit<Effect, "applied">, signal: AbortSignal): Promise<void> {
    return this.#locked(signal, (file) => append(file, { ...effect, applied: !this.#applied.has(effect.key) }));
  }

  /** Appends the effect as applied, whatever stands already: a world that knows no keys. */
  applyBlindly(effect: Omit<Effect, "applied">, signal: AbortSignal): Promise<void> {
    return this.#locked(signal, (file) => append(file, { ...effect, applied: true }));
  }

  /** Whether an effect with that key was applied. */
  isApplied(key: string, signal: AbortSignal): Promise<boolean> {
    return this.#locked(signal, () => this.#applied.has(key));
  }

  /**
   * Looks and appends in one critical section over all processes, and it blocks this one: it is a few milliseconds, and
   * what does not yield cannot interleave with another claim of the process. Waiting for it blocks nothing, however
   * long another process is stopped inside; it ends with the reason of `signal`.
   */
  async #locked<T>(signal: AbortSignal, work: (file: number) => T): Promise<T> {
    // The lock of an SQLite file is the kernel's: it goes with its process, however that dies.
    const lock = (this.#lock ??= new DatabaseSync(`${this.#path}.lock`, { timeout: 0 }));
    while (!isTaken(lock)) await delay(lockEveryMs * (1 + Math.random()), undefined, { signal });
    try {
      const file = openSync(this.#path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
      try {
        this.#readNew(file);
        return work(file);
      } finally {
        closeSync(file);
      }
    } finally {
      lock.exec("ROLLBACK");
    }
  }

  /** Learns the keys that were applied since the last look. Lines are whole: they are written under the lock. */
  #readNew(file: number): void {
    if (fstatSync(file).size < this.#seenBytes) {
      this.#applied.clear();
      this.#seenBytes = 0;
    }
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.alloc(readBytes);
      const length = readSync(file, chunk, 0, readBytes, this.#seenBytes);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
      this.#seenBytes += length;
    }
    for (const line of Buffer.concat(chunks).toString().split("\n")) {
      if (line === "") continue;
      // This class wrote the line.
      const effect = JSON.parse(line) as Effect;
      if (effect.applied) this.#applied.add(effect.key);
    }
  }
}

function append(file: number, effect: Effect): void {
  writeSync(file, `${JSON.stringify(effect)}\n`);
  fsyncSync(file);
}

/** Takes the lock if nobody has it. */
function isTaken(lock: DatabaseSync): boolean {
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === busy) return false;
    throw error;
  }
}
