import { lineEnd, lineStart } from "./text-file.ts";

/** Words of a document and where they stand in it. */
export type Citation = {
  /** Relative to the documents folder. */
  path: string;
  /** The line, from 1, on which the quote starts. */
  line: number;
  /** Verbatim, line breaks included. */
  quote: string;
};

/** Whether `quote` stands in the text, character for character, and starts on that line. */
export function standsAt(text: string, line: number, quote: string): boolean {
  const start = lineStart(text, line);
  if (start < 0 || quote.trim() === "") return false;
  const at = text.indexOf(quote, start);
  return at >= start && at < lineEnd(text, start);
}

/**
 * Where the words of `quote` really stand: the line, and the text as the file has it. Looks at the line that was named
 * first, then for the occurrence nearest to it; white space may differ, for models join wrapped lines.
 * Undefined when the words do not stand there.
 */
export function locateQuote(text: string, line: number, quote: string): { line: number; quote: string } | undefined {
  const words = quote.trim().split(/\s+/u);
  if (words.join("") === "") return undefined;
  if (standsAt(text, line, quote)) return { line, quote };
  const pattern = new RegExp(
    words.map((word) => word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("\\s+(?:>\\s*)*"),
    "gu",
  );
  let nearest: { line: number; quote: string } | undefined;
  let counted = { at: 0, line: 1 };
  for (const match of text.matchAll(pattern)) {
    counted = { at: match.index, line: counted.line + countBreaks(text, counted.at, match.index) };
    if (nearest && Math.abs(nearest.line - line) <= Math.abs(counted.line - line)) break;
    nearest = { line: counted.line, quote: match[0] };
  }
  return nearest;
}

function countBreaks(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
