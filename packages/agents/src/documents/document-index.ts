import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { z } from "zod";
import { walkFolder } from "./folder.ts";
import { passagesOf } from "./passage.ts";
import { isTelling, type Question, type Relevance, relevanceOf, type Term, wantsOf, weighTerms } from "./relevance.ts";
import { readTextFile } from "./text-file.ts";
import { Tokenizer } from "./tokenizer.ts";
import { questionWords, searchable } from "./word.ts";

const schema = readFileSync(new URL("./schema.sql", import.meta.url), "utf8");
/** How long one process waits for another that writes the same index, in ms. */
const busyMs = 120_000;
/** Part of the name of the index: another way of cutting passages is another index. */
const format = 2;
/** Files in one transaction: what a process that dies has to do again, and how long another one waits. */
const batchSize = 200;
/** Passages that are looked at closely for one question; the rest matched it by fewer or more common words. */
const maxCandidates = 300;

/** What a folder holds for us. */
export interface Survey {
  documents: number;
  passages: number;
  /** Files that are no documents: of another kind, binary, not UTF-8, or not to be read. */
  skipped: number;
}

/** A passage found, with how well it bears on the question. */
export interface Hit extends Relevance {
  path: string;
  line: number;
  text: string;
  heading: string;
}

/** What a search came to. */
export interface SearchResult {
  /** Best first; also such that bear little on the question, which their scores tell. */
  hits: Hit[];
  /** The telling words of the question, and in how many passages each one stands. */
  words: { word: string; passages: number }[];
}

const FileRow = z.object({ id: z.int(), stamp: z.string(), sha256: z.string() });
const Count = z.object({ count: z.int() });
const CandidateRow = z.object({
  id: z.int(),
  path: z.string(),
  line: z.int(),
  kind: z.enum(["sentence", "item", "row", "code"]),
  text: z.string(),
  heading: z.string(),
  lead: z.string(),
  trail: z.string(),
  position: z.int(),
  before: z.string(),
  after: z.string(),
});

/**
 * The full-text index of one documents folder, on disk. Several processes may use and renew it at once. Synchronous:
 * belongs into a worker thread.
 */
export class DocumentIndex {
  readonly #folder: string;
  readonly #database: DatabaseSync;
  readonly #tokenizer = new Tokenizer();
  readonly #statements = new Map<string, StatementSync>();

  private constructor(folder: string, database: DatabaseSync) {
    this.#folder = folder;
    this.#database = database;
  }

  /** Opens the index of a folder (its real path), new or as it was left; one that is damaged is thrown away. */
  static open(folder: string, indexDir: string): DocumentIndex {
    const name = createHash("sha256").update(`${format}\0${folder}`).digest("hex").slice(0, 24);
    const path = join(indexDir, `${name}.sqlite`);
    mkdirSync(dirname(path), { recursive: true });
    return alone(path, () => {
      try {
        return new DocumentIndex(folder, openDatabase(path));
      } catch (error) {
        if (!isDamage(error)) throw error;
        for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
        return new DocumentIndex(folder, openDatabase(path));
      }
    });
  }

  /** Brings the index to what the folder holds now; reads only files that changed. */
  refresh(): Survey {
    let others = 0;
    let batch: string[] = [];
    this.#database.exec("DELETE FROM met");
    for (const file of walkFolder(this.#folder)) {
      if (!file.isDocument) others++;
      else if (batch.push(file.path) >= batchSize) {
        this.#renew(batch);
        batch = [];
      }
    }
    this.#renew(batch);
    this.#transact(() => {
      const gone = this.#prepare("SELECT id FROM file WHERE path NOT IN (SELECT path FROM met)").all();
      for (const row of gone) this.#remove(z.object({ id: z.int() }).parse(row).id);
    });
    const unreadable = this.#count("SELECT count(*) AS count FROM file WHERE readable = 0");
    return { documents: this.#countDocuments(), passages: this.#countPassages(), skipped: others + unreadable };
  }

  /** The passages that bear most on a question, at most `limit`. */
  search(question: string, limit: number): SearchResult {
    const terms = this.#termsOf(question);
    const asked: Question = { terms, wants: wantsOf(question) };
    const rows = this.#candidates(terms);
    const stems = this.#tokenizer.read(
      rows.map(({ text, heading, lead, trail, path, before, after }) => ({
        text,
        heading,
        lead,
        trail: `${trail} ${path}`,
        before,
        after,
      })),
    );
    const hits = rows.flatMap((row, at) => {
      const own = stems[at];
      if (!own) return [];
      const { path, line, text, heading } = row;
      return [{ path, line, text, heading, ...relevanceOf(asked, { ...row, stems: own }) }];
    });
    hits.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line));
    return {
      hits: hits.slice(0, limit).map((hit) => ({ ...hit, score: Math.round(hit.score * 1000) / 1000 })),
      words: terms.filter(isTelling).map(({ word, passages }) => ({ word, passages })),
    };
  }

  close(): void {
    this.#tokenizer.close();
    this.#database.close();
  }

  #termsOf(question: string): Term[] {
    const words = questionWords(question).map((entry) => {
      const variants = [
        { worth: 1, words: [entry.word] },
        { worth: 0.85, words: entry.forms },
        { worth: 0.75, words: entry.synonyms },
      ];
      const stems = new Map<string, number>();
      for (const { worth, words: forms } of variants) {
        for (const stem of this.#tokenizer.stems(forms)) {
          if (stem !== undefined && !stems.has(stem)) stems.set(stem, worth);
        }
      }
      const known = [...stems].map(([stem, worth]) => ({ stem, worth, passages: this.#passagesWith(stem) }));
      return {
        word: entry.word,
        importance: entry.importance,
        isAskedFor: entry.isAskedFor,
        spellings: variants.flatMap((variant) => variant.words),
        stems: known.map(({ stem, worth }) => ({ stem, worth })),
        passages: Math.max(0, ...known.map(({ passages }) => passages)),
        documents: this.#documentsWith(entry.word),
      };
    });
    // Two forms of one word are one thing asked for.
    const distinct = words.filter(
      (entry, at) => words.findIndex((other) => other.stems[0]?.stem === entry.stems[0]?.stem) === at,
    );
    return weighTerms(distinct, { passages: this.#countPassages(), documents: this.#countDocuments() });
  }

  #candidates(terms: readonly Term[]): z.infer<typeof CandidateRow>[] {
    // The index stems what it is asked for, and stems are not fixed points of stemming: it is asked for whole words.
    const words = new Set(terms.filter(({ passages }) => passages > 0).flatMap(({ spellings }) => spellings));
    if (words.size === 0) return [];
    const query = [...words].map((word) => `"${word}"`).join(" OR ");
    return this.#prepare(
      "SELECT p.id, f.path, p.line, p.kind, p.text, p.heading, p.lead, p.trail, p.position, " +
        "coalesce(b.text, '') AS before, coalesce(a.text, '') AS after " +
        "FROM (SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, 1.0, 0.6, 0.3), rowid LIMIT ?) AS w " +
        "JOIN passage p ON p.id = w.rowid JOIN file f ON f.id = p.file " +
        "LEFT JOIN passage b ON b.id = p.id - 1 AND b.file = p.file AND b.section = p.section " +
        "LEFT JOIN passage a ON a.id = p.id + 1 AND a.file = p.file AND a.section = p.section",
    )
      .all(query, maxCandidates)
      .map((row) => CandidateRow.parse(row));
  }

  #passagesWith(stem: string): number {
    const row = this.#prepare("SELECT doc AS count FROM vocabulary WHERE term = ? AND col = 'text'").get(stem);
    return row ? Count.parse(row).count : 0;
  }

  /** Counted among so many passages at most: a word that stands in more is not rare. */
  #documentsWith(word: string): number {
    return this.#count(
      "SELECT count(DISTINCT p.file) AS count FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT 20000) AS w " +
        "JOIN passage p ON p.id = w.rowid",
      `"${word}"`,
    );
  }

  #renew(paths: readonly string[]): void {
    this.#transact(() => {
      for (const path of paths) this.#renewFile(path);
    });
  }

  #renewFile(path: string): void {
    const absolute = join(this.#folder, path);
    const stamp = stampOf(absolute);
    if (stamp === undefined) return;
    this.#prepare("INSERT OR IGNORE INTO met (path) VALUES (?)").run(path);
    const found = this.#prepare("SELECT id, stamp, sha256 FROM file WHERE path = ?").get(path);
    const known = found ? FileRow.parse(found) : undefined;
    if (known?.stamp === stamp) return;

    const text = readOrUndefined(absolute);
    const sha256 = createHash("sha256")
      .update(text ?? "")
      .digest("hex");
    const readable = text === undefined ? 0 : 1;
    if (known?.sha256 === sha256) {
      this.#prepare("UPDATE file SET stamp = ?, readable = ? WHERE id = ?").run(stamp, readable, known.id);
      return;
    }
    if (known) this.#remove(known.id);
    const { lastInsertRowid } = this.#prepare(
      "INSERT INTO file (path, stamp, sha256, readable) VALUES (?, ?, ?, ?)",
    ).run(path, stamp, sha256, readable);
    if (text !== undefined) this.#insertPassages(lastInsertRowid, path, text);
  }

  #insertPassages(file: number | bigint, path: string, text: string): void {
    const insertPassage = this.#prepare(
      "INSERT INTO passage (file, line, kind, text, heading, lead, trail, section, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    const insertWords = this.#prepare("INSERT INTO words (rowid, text, heading, trail) VALUES (?, ?, ?, ?)");
    for (const { line, kind, text: quote, heading, lead, trail, section, position } of passagesOf(text)) {
      const { lastInsertRowid } = insertPassage.run(file, line, kind, quote, heading, lead, trail, section, position);
      insertWords.run(lastInsertRowid, searchable(quote), searchable(heading), searchable(`${trail} ${path}`));
    }
  }

  #remove(file: number): void {
    this.#prepare("DELETE FROM words WHERE rowid IN (SELECT id FROM passage WHERE file = ?)").run(file);
    this.#prepare("DELETE FROM passage WHERE file = ?").run(file);
    this.#prepare("DELETE FROM file WHERE id = ?").run(file);
  }

  #countPassages(): number {
    return this.#count("SELECT count(*) AS count FROM passage");
  }

  #countDocuments(): number {
    return this.#count("SELECT count(*) AS count FROM file WHERE readable = 1");
  }

  #count(query: string, ...values: string[]): number {
    return Count.parse(this.#prepare(query).get(...values)).count;
  }

  /** Immediate, so that two processes that renew the same files take turns and the second finds nothing to do. */
  #transact(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #prepare(query: string): StatementSync {
    const prepared = this.#statements.get(query) ?? this.#database.prepare(query);
    this.#statements.set(query, prepared);
    return prepared;
  }
}

/**
 * Runs what opens an index while nobody else opens it. The change to WAL takes the whole file from within a read, where
 * SQLite answers "database is locked" at once, whatever the timeout, for to wait there might be for ever. And of two that
 * find the index damaged, the second would take away what the first has begun to build. The lock is the kernel's: it
 * goes with its process, however that dies.
 */
function alone<T>(path: string, open: () => T): T {
  const lock = new DatabaseSync(`${path}.lock`, { timeout: busyMs });
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return open();
  } finally {
    lock.close();
  }
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyMs });
  try {
    database.exec(schema);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && (error.errcode === 11 || error.errcode === 26);
}

/** Changes whenever the content does, the clock of the file system granted; undefined when the file is gone. */
function stampOf(path: string): string | undefined {
  try {
    const { size, mtimeNs, ctimeNs, ino } = statSync(path, { bigint: true });
    return `${size}-${mtimeNs}-${ctimeNs}-${ino}`;
  } catch {
    return undefined;
  }
}

/** A file that may not be read, or went away since it was listed, is as a binary one. */
function readOrUndefined(path: string): string | undefined {
  try {
    return readTextFile(path);
  } catch {
    return undefined;
  }
}
