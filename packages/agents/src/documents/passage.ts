import { splitSentences } from "./sentence.ts";

/** The smallest thing that can be quoted: a sentence, a list item, a table row or a line of code. */
export interface Passage {
  /** Counts from 1 in the file on disk; the line on which `text` starts. */
  line: number;
  /** Verbatim as in the file, line breaks included. */
  text: string;
  kind: "sentence" | "item" | "row" | "code";
  /** What it stands under: the nearest heading, the question it answers, the words that lead into its list. */
  heading: string;
  /** The part of `heading` that leads into just this: a question, the lead-in of a list, the head of a table. */
  lead: string;
  /** The headings above that one, outermost first. */
  trail: string;
  /** Counts the headings of the file. */
  section: number;
  /** Counts the passages since the heading, the question or the lead-in, from 0. */
  position: number;
}

interface Line {
  start: number;
  end: number;
  number: number;
}

/** Items up to this length are one passage, even of several sentences. */
const wholeItem = 240;
/** What is written in HTML tags is layout: it reads badly as a quotation. */
const htmlAttribute = /\b(?:src|href|class|style|align|valign|width|height|alt)\s*=\s*["']/u;
/** Longer lines that begin with `#` are prose. */
const maxHeading = 400;
/** Paragraphs are split at this size, which bounds what a file without blank lines costs. */
const maxParagraphLines = 400;

const fenceMark = /^\s{0,3}(?:>\s*)*(`{3,}|~{3,})/u;
const atxHeading = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$/u;
const underline = /^\s*(?:={3,}|-{3,}|~{3,}|\^{3,})\s*$/u;
const itemMark = /^(?:\s|>)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?/u;
const tableRow = /^\s{0,3}\|.*\|\s*$/u;
const tableRule = /^[\s|:-]+$/u;
const quoteMark = /^\s{0,3}(?:>\s?)+/u;
const link = /!?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?/gu;
const linkDefinition = /^\s{0,3}\[[^\]]+\]:\s*\S+/u;
const markup = /<[^<>]{0,200}>|!\[[^\]]*\]\([^)]*\)|https?:\/\/\S+|[*_`#>|]/gu;

/**
 * All passages of a Markdown or text file in their order. `text` is the file as decoded, byte order mark included;
 * lines end at `\n` (with or without `\r`), as `grep -n` counts them. Memory is bounded by the longest paragraph.
 */
export function* passagesOf(text: string): Generator<Passage> {
  yield* new Reader(text).passages();
}

/** A passage on one line, without the marks of quoted blocks and table cells: for display, never for citing. */
export function plainText(text: string): string {
  if (tableRow.test(text))
    return text
      .split("|")
      .map((cell) => cell.trim())
      .filter(Boolean)
      .join(" · ");
  return text
    .replace(/\s*\n[ \t]*(?:>[ \t]?)+/gu, " ")
    .replace(/\s+/gu, " ")
    .trim();
}

function* linesOf(text: string): Generator<Line> {
  let start = text.startsWith("\uFEFF") ? 1 : 0;
  for (let number = 1; start < text.length; number++) {
    const newline = text.indexOf("\n", start);
    const next = newline < 0 ? text.length : newline;
    const end = next > start && text.charAt(next - 1) === "\r" ? next - 1 : next;
    yield { start, end, number };
    start = next + 1;
  }
}

/** Walks a file once, line by line, and knows under what each line stands. */
class Reader {
  readonly #text: string;
  #headings: { level: number; title: string }[] = [];
  #section = 0;
  #position = 0;
  #question = "";
  #leadIn = "";
  #tableHeader = "";
  #block: Line[] = [];
  #blockIsItem = false;
  #fence = "";
  #inComment = false;

  constructor(text: string) {
    this.#text = text;
  }

  *passages(): Generator<Passage> {
    let blankBefore = true;
    for (const line of linesOf(this.#text)) {
      const raw = this.#text.slice(line.start, line.end);
      yield* this.#readLine(line, raw, blankBefore);
      blankBefore = raw.trim() === "";
    }
    yield* this.#endBlock();
  }

  *#readLine(line: Line, raw: string, blankBefore: boolean): Generator<Passage> {
    if (this.#fence) return yield* this.#readCode(line, raw);
    const fence = fenceMark.exec(raw)?.[1];
    if (fence) {
      yield* this.#endBlock();
      this.#fence = fence;
      return;
    }
    if (this.#skipsComment(raw)) return yield* this.#endBlock();
    if (raw.replace(quoteMark, "").trim() === "") {
      yield* this.#endBlock();
      this.#tableHeader = "";
      return;
    }
    const heading = raw.length <= maxHeading ? atxHeading.exec(raw) : null;
    if (heading) {
      yield* this.#endBlock();
      return this.#enter(heading[1]?.length ?? 1, heading[2] ?? "");
    }
    if (underline.test(raw)) return yield* this.#readUnderline(raw);
    if (tableRow.test(raw)) return yield* this.#readRow(line, raw);
    if (linkDefinition.test(raw)) return yield* this.#endBlock();
    if (itemMark.test(raw)) {
      yield* this.#endBlock();
      this.#blockIsItem = true;
    } else if (this.#block.length === 0 && blankBefore && /^(?: {4}|\t)/u.test(raw)) {
      return yield* this.#readCode(line, raw);
    }
    this.#block.push(line);
    if (this.#block.length >= maxParagraphLines) yield* this.#endBlock();
  }

  *#readCode(line: Line, raw: string): Generator<Passage> {
    const fence = this.#fence;
    const closing = raw.trim();
    if (fence && closing.startsWith(fence) && closing.replaceAll(fence.charAt(0), "") === "") {
      this.#fence = "";
      return;
    }
    const start = line.start + (raw.length - raw.trimStart().length);
    yield* this.#passage("code", start, line.start + raw.trimEnd().length, line.number);
  }

  *#readRow(line: Line, raw: string): Generator<Passage> {
    if (!this.#tableHeader) {
      yield* this.#endBlock();
      this.#tableHeader = raw;
      return;
    }
    if (tableRule.test(raw)) return;
    const start = line.start + (raw.length - raw.trimStart().length);
    yield* this.#passage("row", start, line.start + raw.trimEnd().length, line.number);
  }

  /** A line of `===` or `---` makes a heading of the single line before it, and else just ends the block. */
  *#readUnderline(raw: string): Generator<Passage> {
    const [only, second] = this.#block;
    if (only && !second && !this.#blockIsItem) {
      const title = this.#text.slice(only.start, only.end).trim();
      this.#block = [];
      return this.#enter(raw.includes("=") ? 1 : 2, title);
    }
    yield* this.#endBlock();
  }

  #skipsComment(raw: string): boolean {
    if (!this.#inComment && !/^\s*<!--/u.test(raw)) return false;
    this.#inComment = !raw.includes("-->");
    return true;
  }

  #enter(level: number, title: string): void {
    this.#headings = [...this.#headings.filter((heading) => heading.level < level), { level, title }];
    this.#section++;
    this.#position = 0;
    this.#question = "";
    this.#leadIn = "";
    this.#tableHeader = "";
  }

  *#endBlock(): Generator<Passage> {
    const block = this.#block;
    const isItem = this.#blockIsItem;
    this.#block = [];
    this.#blockIsItem = false;
    const [only, second] = block;
    if (!only) return;
    const title = this.#text.slice(only.start, only.end).trim();
    if (!second && !isItem && this.#isTitle(title)) {
      yield* this.#endRun(block, isItem);
      return this.#enter(this.#section === 0 ? 1 : 2, title);
    }
    if (!isItem) this.#leadIn = "";
    for (const run of this.#runsOf(block)) yield* this.#endRun(run, isItem);
  }

  /** In plain text a title is a line by itself: in capitals, or at the top without a full stop. It may be a fact too. */
  #isTitle(line: string): boolean {
    if (line.length > 80 || /[.!?:;,]$/u.test(line)) return false;
    const isFirst = this.#section === 0 && this.#position === 0;
    return isFirst || (/\p{Lu}{3}/u.test(line) && line === line.toUpperCase());
  }

  /** Splits a block where a line stopped short of the margin and the next begins anew: there the break is meant. */
  #runsOf(block: Line[]): Line[][] {
    const margin = Math.max(...block.map((line) => line.end - line.start));
    const runs: Line[][] = [];
    let previous: Line | undefined;
    for (const line of block) {
      const isMeant =
        previous &&
        previous.end - previous.start < Math.max(45, margin * 0.6) &&
        /^[\s>]*[\p{Lu}\p{N}*_`"“(]/u.test(this.#text.slice(line.start, line.end)) &&
        !/[,;(–—-]$/u.test(this.#text.slice(previous.start, previous.end).trimEnd());
      const run = runs.at(-1);
      if (run && !isMeant) run.push(line);
      else runs.push([line]);
      previous = line;
    }
    return runs;
  }

  *#endRun(run: Line[], isItem: boolean): Generator<Passage> {
    const first = run[0];
    const last = run.at(-1);
    if (!first || !last) return;
    const firstRaw = this.#text.slice(first.start, first.end);
    const mark = (isItem ? itemMark : quoteMark).exec(firstRaw)?.[0] ?? firstRaw.slice(0, firstRaw.search(/\S/u));
    const start = first.start + mark.length;
    const prose = this.#text.slice(start, last.end).trimEnd();
    const ending = prose.slice(-8).replaceAll(/[*_`\s]/gu, "");
    if (ending.endsWith("?") && prose.length < wholeItem) return this.#ask(plainText(prose));

    const isWhole = isItem && prose.length <= wholeItem;
    const spans = isWhole ? [{ start: 0, end: prose.length }] : splitSentences(prose);
    let line = first.number;
    let counted = 0;
    for (const span of spans) {
      for (let at = prose.indexOf("\n", counted); at >= 0 && at < span.start; at = prose.indexOf("\n", at + 1)) line++;
      counted = span.start;
      yield* this.#passage(isItem ? "item" : "sentence", start + span.start, start + span.end, line);
    }
    if (!isItem && ending.endsWith(":")) {
      this.#leadIn = plainText(prose.slice(spans.at(-1)?.start));
      this.#position = 0;
    }
  }

  #ask(question: string): void {
    this.#question = question;
    this.#position = 0;
  }

  *#passage(kind: Passage["kind"], start: number, end: number, line: number): Generator<Passage> {
    const text = this.#text.slice(start, end);
    const isLabel = /^["“]?[\w -]{1,24}:$/u.test(text);
    const isLink = !/[\p{L}\p{N}]/u.test(text.replace(link, ""));
    if (isLabel || isLink || (kind !== "code" && htmlAttribute.test(text))) return;
    if (countWords(text.replace(markup, " ")) < 2) return;
    const titles = this.#headings.map((heading) => heading.title);
    const title = titles.at(-1) ?? "";
    const leads = [this.#question, this.#leadIn, this.#tableHeader];
    yield {
      line,
      text,
      kind,
      heading: [title, ...leads].filter(Boolean).join(" · "),
      lead: [title.endsWith("?") ? title : "", ...leads].filter(Boolean).join(" · "),
      trail: titles.slice(0, -1).join(" · "),
      section: this.#section,
      position: this.#position++,
    };
  }
}

/** Scripts without spaces between words count every two characters as one. */
function countWords(text: string): number {
  const words = text.match(/[\p{L}\p{N}]+/gu) ?? [];
  const wide = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/gu) ?? [];
  return words.length + Math.floor(wide.length / 2);
}
