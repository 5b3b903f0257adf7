/** A stretch of a text: `start` included, `end` not, in UTF-16 code units. */
export interface Span {
  start: number;
  end: number;
}

/** Longest passage in characters; what has no sentence end before that is cut between words. */
const maxLength = 600;

const terminator = /[.!?…]+["'”’)\]*_`»]*(?=\s)|[。！？]+[」』”’）]*/gu;
const abbreviation =
  /(?:^|[\s("'[])(?:e\.g|i\.e|etc|vs|cf|approx|resp|incl|fig|figs|no|nos|vol|ch|sec|eq|st|mr|mrs|ms|dr|prof|inc|ltd|co|corp|jr|sr|al|est|dept|\p{L})$/iu;
const listNumber = /(?:^|\n)[\s>*_]*\d{1,3}$/u;
const wideTerminator = /[。！？]/u;

/** The sentences of one block of prose, in order, without the white space around them. */
export function splitSentences(text: string): Span[] {
  const spans: Span[] = [];
  let start = 0;
  for (const match of text.matchAll(terminator)) {
    const end = match.index + match[0].length;
    if (!endsSentence(text, match[0], match.index, end)) continue;
    pushTrimmed(spans, text, start, end);
    start = end;
  }
  pushTrimmed(spans, text, start, text.length);
  return spans;
}

function endsSentence(text: string, mark: string, at: number, end: number): boolean {
  if (wideTerminator.test(mark)) return true;
  const next = skipBlank(text, end);
  if (/^\p{Ll}/u.test(text.slice(next, next + 2))) return false;
  if (!mark.startsWith(".") || mark.startsWith("..")) return true;
  const before = text.slice(Math.max(0, at - 24), at);
  return !abbreviation.test(before) && !listNumber.test(before);
}

function pushTrimmed(spans: Span[], text: string, from: number, to: number): void {
  const start = skipBlank(text, from);
  const end = from + text.slice(from, to).trimEnd().length;
  if (start < end) spans.push(...cut(text, { start, end }));
}

/** Where the next word begins: after white space and the marks that a quoted block puts at the start of a line. */
function skipBlank(text: string, from: number): number {
  let isLineStart = false;
  let at = from;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "\n") isLineStart = true;
    else if (!/\s/u.test(character) && !(isLineStart && character === ">")) break;
  }
  return at;
}

function* cut(text: string, span: Span): Generator<Span> {
  let { start } = span;
  while (span.end - start > maxLength) {
    const window = text.slice(start, start + maxLength);
    const space = window.search(/\s\S*$/u);
    const length = space > maxLength / 2 ? space : wholeCharacters(window);
    yield { start, end: start + window.slice(0, length).trimEnd().length };
    start += length;
    while (start < span.end && /\s/u.test(text.charAt(start))) start++;
  }
  if (start < span.end) yield { start, end: span.end };
}

/** The length of the window without a character that its end cuts in two. */
function wholeCharacters(window: string): number {
  const last = [...new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(window.slice(-32))].at(-1);
  const kept = window.length - (last?.segment.length ?? 0);
  return kept > maxLength / 2 ? kept : window.length;
}
