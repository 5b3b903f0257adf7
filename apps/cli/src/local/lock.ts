import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** A lock that this process holds. */
export interface Lock {
  release(): void;
}

/** Whoever asks whether the lock is held takes it for a moment: that must not look like a holder. */
const patienceMs = 500;

/**
 * Takes the lock of that file, or answers undefined when a living process has it. It is a lock of the operating
 * system, taken through SQLite because Node has none of its own: it goes with its holder however that ends, so there
 * is no stale one to judge by a pid that may be somebody else's by now.
 */
export function tryLock(file: string): Lock | undefined {
  return lockWithin(file, patienceMs);
}

/** Whether a living process holds the lock of that file. */
export function isLocked(file: string): boolean {
  if (!existsSync(file)) return false;
  const lock = lockWithin(file, 0);
  lock?.release();
  return lock === undefined;
}

function lockWithin(file: string, timeout: number): Lock | undefined {
  const database = new DatabaseSync(file, { timeout });
  try {
    // Journal in memory: a reader of the folder sees one file, and nothing is ever written to it.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (error instanceof Error && error.message.includes("database is locked")) return undefined;
    throw error;
  }
  return { release: () => database.close() };
}
