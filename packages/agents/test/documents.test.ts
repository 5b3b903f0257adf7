import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { TaskError } from "@flotilla/workflow";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Documents } from "../src/documents/index.ts";
import { passagesOf } from "../src/documents/passage.ts";
import { locateQuote, standsAt } from "../src/documents/quotation.ts";
import { splitSentences } from "../src/documents/sentence.ts";

let base: string;
let docs: string;
let documents: Documents;

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "documents-")));
  docs = join(base, "docs");
  mkdirSync(docs);
  documents = new Documents({ docsRoots: [docs], dataDir: join(base, "data") });
});

afterEach(async () => {
  await documents.stop();
  rmSync(base, { recursive: true, force: true });
});

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(docs, path)), { recursive: true });
  writeFileSync(join(docs, path), content);
}

const sentencesOf = (text: string) => splitSentences(text).map(({ start, end }) => text.slice(start, end));

describe("sentences", () => {
  test("abbreviations, initials, versions and numbers do not end one", () => {
    const text = "See e.g. Fig. 3 by J. Doe. Version 2.1 is out! It costs 3.50 euros, etc. and more. Done?";
    expect(sentencesOf(text)).toEqual([
      "See e.g. Fig. 3 by J. Doe.",
      "Version 2.1 is out!",
      "It costs 3.50 euros, etc. and more.",
      "Done?",
    ]);
  });

  test("closing quotes and full-width stops belong to the sentence", () => {
    expect(sentencesOf("He said “go.” Then he went.")).toEqual(["He said “go.”", "Then he went."]);
    expect(sentencesOf("默认端口是五千。连接池最多一百个。")).toEqual(["默认端口是五千。", "连接池最多一百个。"]);
  });

  test("one without an end is cut between words", () => {
    const parts = sentencesOf("word ".repeat(1000));
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(600);
    expect(parts.join(" ")).toBe("word ".repeat(1000).trim());
  });
});

describe("passages", () => {
  test("a wrapped sentence is one passage, with its line breaks, at the line where it starts", () => {
    const [first, second] = [...passagesOf("# Title\r\n\r\nOne thing here. Another thing that\r\ngoes on here.\r\n")];
    expect(first).toMatchObject({ line: 3, text: "One thing here.", heading: "Title" });
    expect(second).toMatchObject({ line: 3, text: "Another thing that\r\ngoes on here." });
  });

  test("list items, table rows and lines of code are passages and know what they stand under", () => {
    const text =
      "# Setup\n\nYou will need all of these parts:\n\n- a big pump\n- a filter\n\n| Part | Price |\n|---|---|\n| Pump | 30 |\n\n```sh\nmake all things\n```\n";
    const found = [...passagesOf(text)].map(({ line, kind, text: quote, heading }) => [line, kind, quote, heading]);
    expect(found).toEqual([
      [3, "sentence", "You will need all of these parts:", "Setup"],
      [5, "item", "a big pump", "Setup · You will need all of these parts:"],
      [6, "item", "a filter", "Setup · You will need all of these parts:"],
      [10, "row", "| Pump | 30 |", "Setup · You will need all of these parts: · | Part | Price |"],
      [13, "code", "make all things", "Setup · You will need all of these parts:"],
    ]);
  });

  test("a question is no passage but what its answer stands under", () => {
    const [answer, ...rest] = [...passagesOf("Q: How long is a lease?\n\nSix seconds, at most.\n")];
    expect(answer).toMatchObject({ line: 3, text: "Six seconds, at most.", heading: "Q: How long is a lease?" });
    expect(rest).toEqual([]);
  });

  test("every passage of any document stands verbatim at its line", () => {
    const word = fc.oneof(
      fc.constantFrom(
        "Lease",
        "e.g.",
        "naïve",
        "数据库。",
        "🚀 go",
        "end.",
        "why?",
        "> quoted",
        "- item",
        "# head",
        "| a | b |",
        "```",
        "\u2028",
        "\r",
        "\u00a0",
        "...",
        "1. one",
        "===",
        "<!-- x -->",
      ),
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.nat(3000).map((length) => "long ".repeat(length)),
      fc.nat(900).map((length) => "é".repeat(length)),
    );
    const separator = fc.constantFrom(" ", " ", "\n", "\n\n", "\r\n", "\r\n\r\n", "\n    ", "\n> ", "\t");
    const document = fc.array(fc.tuple(word, separator), { maxLength: 60 }).map((parts) => parts.flat().join(""));
    fc.assert(
      fc.property(document, fc.boolean(), (body, hasMark) => {
        const text = (hasMark ? "\uFEFF" : "") + body;
        for (const { line, text: quote } of passagesOf(text)) {
          expect(standsAt(text, line, quote)).toBe(true);
          expect(quote).toBe(quote.trim());
          expect(quote.isWellFormed() || !text.isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("quotations", () => {
  test("one stands only on the line on which it starts", () => {
    expect(standsAt("a\nb c\nd", 2, "c\nd")).toBe(true);
    expect(standsAt("a\nb c\nd", 1, "b c")).toBe(false);
    expect(standsAt("a\nb c\nd", 4, "d")).toBe(false);
    expect(standsAt("a\n", 1, "")).toBe(false);
  });

  test("a miscounted line is mended, joined lines get their breaks back, invented words are not found", () => {
    const text = "x\r\none two\r\nthree four (five).\r\nx\r\none two";
    expect(locateQuote(text, 9, "one two three")).toEqual({ line: 2, quote: "one two\r\nthree" });
    expect(locateQuote(text, 5, "one two")).toEqual({ line: 5, quote: "one two" });
    expect(locateQuote(text, 2, "one three")).toBeUndefined();
  });
});

describe("the index", () => {
  test("finds other forms of a word, best first, and says which words are unknown", async () => {
    write("a.md", "# Backups\n\nSnapshots are stored for thirty days. The office has a dog.\n");
    write("b.txt", "Nothing of interest stands in this file.\n");
    const { hits, words } = await documents.search(
      undefined,
      "How long does the storage of snapshots on Jupiter last?",
      5,
    );
    expect(hits[0]).toMatchObject({ path: "a.md", line: 3, text: "Snapshots are stored for thirty days." });
    expect(words.find(({ word }) => word === "jupiter")).toEqual({ word: "jupiter", passages: 0 });
  });

  test("binary files, other kinds, hidden files and packages' folders are passed over", async () => {
    write("good.md", "The lease is six seconds long.");
    write("nul.md", "The lease is\0 six seconds long.");
    write("latin.txt", Buffer.from([0x4c, 0xe9, 0x20, 0x41]));
    write("image.png", "The lease is six seconds long.");
    write(".secret.md", "The lease is six seconds long.");
    write("node_modules/x/README.md", "The lease is six seconds long.");
    expect(await documents.survey(undefined)).toEqual({ documents: 1, passages: 1, skipped: 3 });
  });

  test("follows what changes in the folder, and reads again only that", async () => {
    write("a.md", "The pump is red.");
    write("b.md", "The valve is blue.");
    await documents.survey(undefined);
    write("a.md", "The pump is green.");
    rmSync(join(docs, "b.md"));
    write("c.md", "The filter is white.");
    expect(await documents.survey(undefined)).toMatchObject({ documents: 2, passages: 2 });
    const { hits } = await documents.search(undefined, "pump valve filter", 9);
    expect(hits.map(({ text }) => text).toSorted()).toEqual(["The filter is white.", "The pump is green."]);
  });

  test("is kept on disk and taken up by the next process, a damaged one is built anew", async () => {
    write("a.md", "The pump is red.");
    await documents.survey(undefined);
    await documents.stop();
    utimesSync(join(docs, "a.md"), 1, 1);
    const next = new Documents({ docsRoots: [docs], dataDir: join(base, "data") });
    expect((await next.search(undefined, "pump", 5)).hits).toHaveLength(1);
    await next.stop();
    const [index] = readdirSync(join(base, "data", "index")).filter((name) => name.endsWith(".sqlite"));
    writeFileSync(join(base, "data", "index", index ?? ""), "this is no database ".repeat(1000));
    expect(await documents.survey(undefined)).toMatchObject({ documents: 1 });
  });

  test("two threads may build one index at once", async () => {
    for (let file = 0; file < 300; file++) write(`f${file}.md`, `The pump number ${file} is red. It is loud.`);
    const other = new Documents({ docsRoots: [docs], dataDir: join(base, "data") });
    const surveys = await Promise.all([documents.survey(undefined), other.survey(undefined)]);
    await other.stop();
    expect(surveys).toEqual([
      { documents: 300, passages: 600, skipped: 0 },
      { documents: 300, passages: 600, skipped: 0 },
    ]);
  });

  test("threads that open a new index at the same moment all get it", async () => {
    const [threads, rounds] = [2, 60];
    const workerData = {
      threads,
      barrier: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
      folders: Array.from({ length: rounds }, (_, round) => join(docs, `${round}`)),
      indexDir: join(base, "index"),
    };
    const opener = new URL("./fixtures/open-index.ts", import.meta.url);
    const errors = await Promise.all(
      Array.from({ length: threads }, async () => (await once(new Worker(opener, { workerData }), "message")).flat()),
    );
    expect(errors.flat()).toEqual([]);
  });

  test("a question of function words finds nothing, and full-text operators are only words", async () => {
    write("a.md", "The pump is red.");
    expect((await documents.search(undefined, "what is it?", 5)).hits).toEqual([]);
    expect((await documents.search(undefined, 'pump" OR NEAR(*) AND text: -red ^', 5)).hits).toHaveLength(1);
  });
});

describe("what may be read", () => {
  test.each([
    "../outside.md",
    "/etc/passwd",
    "a/../../outside.md",
    "link.md",
    ".hidden.md",
    "a\\..\\b.md",
    "image.png",
    "gone.md",
    "sub",
  ])("%s is refused", async (path) => {
    writeFileSync(join(base, "outside.md"), "secret words here");
    symlinkSync(join(base, "outside.md"), join(docs, "link.md"));
    write(".hidden.md", "secret words here");
    write("image.png", "secret words here");
    mkdirSync(join(docs, "sub"));
    const error = await documents.read(undefined, { path, fromLine: 1, toLine: 2 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TaskError);
    expect(error).toMatchObject({ failure: { class: "data" } });
    expect(await documents.check(undefined, [{ path, line: 1, quote: "secret words here" }])).toEqual([false]);
    expect((await documents.search(undefined, "secret words", 9)).hits).toEqual([]);
  });

  test("a folder outside of the roots, a link out of them, a missing one and none at all are each refused with what to do", () => {
    mkdirSync(join(base, "docs-other"));
    symlinkSync(join(base, "docs-other"), join(docs, "out"));
    mkdirSync(join(docs, "sub"));
    const codeOf = (ask: () => unknown) => {
      try {
        return ask();
      } catch (error) {
        return error instanceof TaskError ? error.failure.code : error;
      }
    };
    expect(codeOf(() => documents.folder(join(base, "docs-other")))).toBe("documents-forbidden");
    expect(codeOf(() => documents.folder("out"))).toBe("documents-forbidden");
    expect(codeOf(() => documents.folder("../docs-other"))).toBe("documents-forbidden");
    expect(codeOf(() => documents.folder("missing"))).toBe("documents-missing");
    expect(codeOf(() => new Documents({ docsRoots: [], dataDir: base }).folder(undefined))).toBe(
      "documents-not-configured",
    );
    expect(documents.folder("sub")).toBe(join(docs, "sub"));
    expect(documents.folder(undefined)).toBe(docs);
  });

  test("an excerpt is verbatim and ends where the document does", async () => {
    write("a.md", "\uFEFFone\r\ntwo\r\nthree");
    expect(await documents.read(undefined, { path: "a.md", fromLine: 2, toLine: 99 })).toEqual({
      path: "a.md",
      fromLine: 2,
      toLine: 3,
      text: "two\r\nthree",
    });
  });

  test("an aborted call is given up", async () => {
    await expect(documents.survey(undefined, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  });
});
