import { derivations, stopWords, synonymGroups, weakWords } from "./vocabulary.ts";

/** A word of a question that a passage may answer to. */
export interface QuestionWord {
  /** As the question has it, in lower case. */
  word: string;
  /** How much it matters before its rarity counts, from 0 to 1: a name matters, `handle` or `work` hardly. */
  importance: number;
  /** Whether it names what is asked for: `price` in "What is the price of …". */
  isAskedFor: boolean;
  /** Other forms of the same word family (`failure` for `fail`), which count as the word. */
  forms: string[];
  /** Words of nearly the same meaning, which count a little less. */
  synonyms: string[];
}

/** Most words of a question that count; a longer question is judged by its first ones. */
const maxWords = 48;
const wordPattern = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*/gu;
/** Scripts that put no space between words; two neighbouring characters serve as a word. */
const wideRun = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]{2,}/gu;
const url = /\bhttps?:\/\/[^\s)>\]]+/gu;

/** What follows names what is asked for. */
const asksForThing = /\b(?:what|which)\b|\bhow(?= (?:tall|deep|high|wide|heavy|thick|hot|cold)\b)/iu;
/** Says what kind of answer is wanted, and not what about. */
const asksQuantity = /\bhow (?:long|many|much|often|soon|far)\b/giu;

/** A text as it goes to the full-text index: without addresses, and with runs of unspaced scripts as pairs. */
export function searchable(text: string): string {
  return text.replace(url, " ").replace(wideRun, pairs);
}

/** The words that decide whether a passage bears on a question; function words and doubles are left out. */
export function questionWords(question: string): QuestionWord[] {
  const text = searchable(question).replace(asksQuantity, " ");
  const words = new Map<string, QuestionWord>();
  const asksAt = asksForThing.exec(text)?.index ?? Number.POSITIVE_INFINITY;
  let isAskedFor = false;
  for (const match of text.matchAll(wordPattern)) {
    const word = match[0].toLowerCase();
    if (words.has(word) || stopWords.has(word)) continue;
    if (/^\p{Script=Latin}$/u.test(word)) continue;
    const importance = importanceOf(match[0], match.index);
    const isThing = !isAskedFor && match.index > asksAt && importance > 0.5;
    isAskedFor ||= match.index > asksAt;
    words.set(word, {
      word,
      importance,
      isAskedFor: isThing,
      forms: formsOf(word),
      synonyms: synonymsOf(word),
    });
    if (words.size === maxWords) break;
  }
  return [...words.values()];
}

function pairs(run: string): string {
  const characters = Array.from(run);
  const all = characters.slice(1).map((character, at) => `${characters[at] ?? ""}${character}`);
  return ` ${all.join(" ")} `;
}

function importanceOf(word: string, at: number): number {
  if (weakWords.has(word.toLowerCase())) return 0.3;
  const isName = (at > 0 && /^\p{Lu}/u.test(word)) || /\p{N}/u.test(word);
  return isName ? 1 : 0.8;
}

function formsOf(word: string): string[] {
  const forms = derivations.flatMap(([ending, others]) => {
    const root = word.slice(0, -ending.length);
    const leastRoot = ending.length > 2 ? 3 : 4;
    return word.endsWith(ending) && root.length >= leastRoot ? others.map((other) => root + other) : [];
  });
  return [...new Set(forms)];
}

function synonymsOf(word: string): string[] {
  const bases = basesOf(word);
  return synonymGroups
    .filter((group) => group.some((member) => bases.includes(member)))
    .flatMap((group) => group.filter((member) => !bases.includes(member)));
}

/** What the word may be an inflection of: itself, and itself without an ending. */
function basesOf(word: string): string[] {
  const roots = [/s$/u, /es$/u, /d$/u, /ed$/u, /ing$/u].map((ending) => word.replace(ending, ""));
  return [...new Set([word, ...roots, word.replace(/ing$/u, "e"), word.replace(/ies$|ied$/u, "y")])];
}
