import { readFileSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { z } from "zod";
import { searchable } from "./word.ts";

const schema = readFileSync(new URL("./tokenizer.sql", import.meta.url), "utf8");
const Token = z.object({
  doc: z.int(),
  col: z.enum(["text", "heading", "lead", "trail", "before", "after"]),
  term: z.string(),
  offset: z.int(),
});

/** The parts of a passage and its surroundings, by how near they are to it. */
export type Part = "text" | "heading" | "lead" | "trail" | "before" | "after";

/** The stems of one part, each with the places where it stands, counted in words. */
export type Stems = ReadonlyMap<string, readonly number[]>;

/** Turns texts into stems exactly as the index did, so that what is compared was made by one tokenizer. */
export class Tokenizer {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #tokens: StatementSync;

  constructor() {
    this.#database = new DatabaseSync(":memory:");
    this.#database.exec(schema);
    this.#insert = this.#database.prepare(
      "INSERT INTO sample (rowid, text, heading, lead, trail, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#tokens = this.#database.prepare("SELECT doc, col, term, offset FROM token");
  }

  /** The stems of each sample, in the order of the samples. */
  read(samples: readonly Record<Part, string>[]): Record<Part, Stems>[] {
    const read = samples.map(() => ({
      text: new Map<string, number[]>(),
      heading: new Map<string, number[]>(),
      lead: new Map<string, number[]>(),
      trail: new Map<string, number[]>(),
      before: new Map<string, number[]>(),
      after: new Map<string, number[]>(),
    }));
    this.#database.exec("BEGIN");
    try {
      samples.forEach((sample, at) => {
        const { text, heading, lead, trail, before, after } = sample;
        const parts = [text, heading, lead, trail, before, after].map(searchable);
        this.#insert.run(at, ...parts);
      });
      for (const row of this.#tokens.iterate()) {
        const { doc, col, term, offset } = Token.parse(row);
        const stems = read[doc]?.[col];
        const places = stems?.get(term);
        if (places) places.push(offset);
        else stems?.set(term, [offset]);
      }
    } finally {
      this.#database.exec("ROLLBACK");
    }
    return read;
  }

  /** The stem of each word; a word that is no token at all has none. */
  stems(words: readonly string[]): (string | undefined)[] {
    const samples = words.map((text) => ({ text, heading: "", lead: "", trail: "", before: "", after: "" }));
    return this.read(samples).map((parts) => parts.text.keys().next().value);
  }

  close(): void {
    this.#database.close();
  }
}
