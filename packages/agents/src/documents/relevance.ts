import type { Passage } from "./passage.ts";
import type { Part, Stems } from "./tokenizer.ts";
import { searchable } from "./word.ts";

/** A word of the question as this folder knows it. */
export interface Term {
  word: string;
  /** The words to look for: itself, other forms of it, synonyms. */
  spellings: string[];
  /** The stems that count as the word, and how much. */
  stems: { stem: string; worth: number }[];
  importance: number;
  isAskedFor: boolean;
  /** Its share in the question: importance times rarity. */
  weight: number;
  /** In how many passages it stands, in any of its forms. */
  passages: number;
  /** In how many documents. */
  documents: number;
}

/** What a passage has to have, beyond the words, to answer. */
export interface Question {
  terms: Term[];
  wants: "number" | "duration" | "time" | "reason" | "definition" | undefined;
}

/** A passage with the stems of its own words and of what stands around it. */
export interface Candidate extends Pick<Passage, "kind" | "text" | "position"> {
  stems: Record<Part, Stems>;
}

/** How well a passage bears on a question. */
export interface Relevance {
  /** From 0 to 1. Above a half, most of what the question asks about is spoken of. */
  score: number;
  /** The telling words of the question that stand in the passage itself. */
  matched: string[];
}

/** Without the lead, which is a part of the heading. */
const parts: readonly Exclude<Part, "lead">[] = ["text", "heading", "trail", "before", "after"];
/** What follows on a passage is the next thing, and hardly what this one speaks of. */
const ownParts: readonly Part[] = ["text", "heading", "trail", "before"];

/** A sentence that begins or ends so speaks of what the sentence before it speaks of. */
export const leansBack =
  /^[\W_]*(?:(?:it|its|this|that|these|those|they|their|he|she|his|her|such|both|then|but|so|otherwise|here)\b|(?:[\p{L}\p{N}]+\s+){1,2}(?:it|they|them)\b)|\s(?:one|it|them)[\W_]*$/iu;

const asksDuration = /\bhow (?:long|often|soon|frequently|quickly)\b/iu;
const asksTime = /\bwhen\b|\b(?:what|which) (?:time|year|date|day|month)\b/iu;
const asksNumber =
  /\bhow (?:many|much|old|tall|high|far|fast|large|big|deep|heavy|wide)\b|\bwhat (?:port|percentage|number|price|age)\b|\bwhich (?:year|port|version|date)\b/iu;
const asksReason = /\bwhy\b|\bwhat (?:causes|is the reason)\b/iu;
const asksDefinition =
  /^\W*(?:what|who) (?:is|are|was|were) (?:an? |the )?[\p{L}\p{N}._-]+(?: [\p{L}\p{N}._-]+)?\W*$/iu;
const wordPattern = /[\p{L}\p{N}\p{M}]+/gu;
const numberWord =
  /^(?:\p{N}.*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|half|once|twice|never|daily|weekly|monthly|hourly|yearly|annually|immediately|noon|midnight|monday|tuesday|wednesday|thursday|friday|saturday|sunday)$/iu;
const timeUnit =
  /^(?:\p{N}*(?:ms|s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|days?|weeks?|fortnights?|months?|quarters?|years?|decades?|centur(?:y|ies))|daily|nightly|weekly|monthly|quarterly|hourly|yearly|annually|never|immediately|once|twice|always|until|every)$/iu;
const timeWord =
  /^(?:\p{N}.*|first|second|third|fourth|fifth|days?|weekdays?|weekends?|weeks?|months?|years?|hours?|minutes?|before|after|when|whenever|once|until|during|while|if|as|midnight|noon|today|tomorrow|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|october|november|december|spring|summer|autumn|winter|end)$/iu;
const givesReason =
  /\b(?:because|since|so that|therefore|thus|hence|otherwise|to avoid|in order to|due to|as a result|prevents?|ensures?|why|reason)\b|\bso\b/iu;

/** What follows on the name of a thing in a sentence that says what the thing is. */
const saysWhatItIs =
  /^[*_`"'”’)]*\s*(?:\([^)]*\)\s*)?(?:[:=–—]|(?:[\p{L}\p{N}]+\s+)?(?:is|are|was|were|means?|refers?|stands?|denotes?|describes?|provides?|lets|helps?|offers?)\b)/iu;

/** Whether the word says what a question is about; the others are as general as `work` or `kind`. */
export function isTelling({ importance }: Pick<Term, "importance">): boolean {
  return importance > 0.5;
}

/** What kind of answer the question asks for. */
export function wantsOf(question: string): Question["wants"] {
  if (asksDuration.test(question)) return "duration";
  if (asksTime.test(question)) return "time";
  if (asksNumber.test(question)) return "number";
  if (asksReason.test(question)) return "reason";
  return asksDefinition.test(question.trim()) ? "definition" : undefined;
}

/**
 * Weighs the words of a question by their rarity in the folder; a word unknown here weighs as a rare one, and less
 * unless it is a name, for the documents may just word it otherwise. Rare is what few passages hold, or few documents:
 * the name of a thing that one document is all about is still what tells it from the others.
 */
export function weighTerms(
  words: readonly Omit<Term, "weight">[],
  total: { passages: number; documents: number },
): Term[] {
  return words.map((word) => {
    const rarity = Math.max(rarityOf(word.passages, total.passages), rarityOf(word.documents, total.documents));
    const doubt = word.passages === 0 ? doubtOf(word) : 1;
    // The floor: in a folder about one thing, its name still counts for something.
    return { ...word, weight: doubt * word.importance * Math.max(0.2, rarity) };
  });
}

/** Rarity as BM25 has it, from 0 to 1, which is that of what stands in one place only. */
function rarityOf(held: number, total: number): number {
  const rarity = (count: number) => Math.log(1 + Math.max(0, total - count + 0.5) / (count + 0.5));
  return total > 1 ? Math.min(1, rarity(held) / rarity(1)) : 0;
}

/** Pairs of characters may straddle two words; names are what they are. */
function doubtOf({ word, importance }: Omit<Term, "weight">): number {
  if (/^\p{Script=Han}|^\p{Script=Hiragana}|^\p{Script=Katakana}|^\p{Script=Thai}/u.test(word)) return 0.15;
  return importance < 1 ? 0.7 : 1;
}

/** Scores a passage by how much of the question, weighed by rarity, it and its surroundings speak of. */
export function relevanceOf(question: Question, candidate: Candidate): Relevance {
  const { terms } = question;
  const worth = worthOfParts(question, candidate);
  const matched = terms.filter((term) => worthIn(term, candidate.stems.text) > 0);
  const covered = terms.reduce((sum, term) => {
    const best = Math.max(...parts.map((part) => worth[part] * worthIn(term, candidate.stems[part])));
    return sum + term.weight * best;
  }, 0);
  const coverage = Math.min(1, covered / demandOf(terms));
  const density = matched.length / Math.max(6, candidate.text.split(/\s+/u).length);
  const closeness = 0.08 * adjacency(terms, candidate.stems.text) + 0.06 * density;
  const score = (coverage + closeness) * fitness(question, candidate, matched);
  return { score: Math.min(1, score / 1.1), matched: matched.filter(isTelling).map((term) => term.word) };
}

/** What a full answer speaks of: the weightiest words, and half of the rest, which a long question says in passing. */
function demandOf(terms: readonly Term[]): number {
  const weights = terms.map((term) => term.weight).toSorted((a, b) => b - a);
  return weights.reduce((sum, weight, at) => sum + (at < 4 ? weight : weight / 2), Number.EPSILON);
}

/** How much a word counts when it stands in the passage, in what it stands under, or beside it. */
function worthOfParts(question: Question, candidate: Candidate): Record<(typeof parts)[number], number> {
  return {
    text: 1,
    heading: opensItsSection(question, candidate) ? 0.95 : 0.75,
    trail: 0.5,
    before: leansBack.test(candidate.text) ? 0.85 : 0.5,
    after: 0.3,
  };
}

function worthIn(term: Term, stems: Stems): number {
  return Math.max(0, ...term.stems.map(({ stem, worth }) => (stems.has(stem) ? worth : 0)));
}

/** Everything that makes a passage with the right words a worse answer, as one factor. */
function fitness(question: Question, candidate: Candidate, matched: Term[]): number {
  const { text, kind } = candidate;
  let factor = 1;
  if (lacksWhatIsAskedFor(question, candidate)) factor *= 0.6;
  if (lacksName(question, candidate)) factor *= 0.8;
  if (speaksOfOneThingOnly(question, candidate)) factor *= 0.7;
  if (restsOnItsSurroundings(question, candidate, matched)) factor *= 0.85;
  if (matched.length === 0) factor *= carriedFitness(question, candidate);
  if (kind === "code") factor *= 0.85;
  else if (isMostlyCode(text)) factor *= 0.8;
  if (/\?["”')*_`]*$/u.test(text)) factor *= 0.4;
  if (/:["”*_`\s]*$/u.test(text)) factor *= 0.75;
  if (question.wants === "number") factor *= closenessOf(numberWord, matched, candidate);
  if (question.wants === "time") factor *= closenessOf(timeWord, matched, candidate);
  if (question.wants === "duration") factor *= closenessOf(timeUnit, matched, candidate);
  if (question.wants === "reason" && !givesReason.test(text)) factor *= 0.92;
  if (question.wants === "definition") factor *= definitionFitness(question, candidate);
  const words = text.split(/\s+/u).length;
  if (words < 4) factor *= 0.9;
  if (words > 30) factor *= Math.max(0.9, 1 - 0.003 * (words - 30));
  return factor;
}

/** How far a passage without a word of the question is carried by what it stands under. */
function carriedFitness(question: Question, candidate: Candidate): number {
  const { kind, position, stems } = candidate;
  if (!opensItsSection(question, candidate)) return 0.5;
  if (question.terms.some((term) => worthIn(term, stems.lead) > 0)) return 1 - 0.05 * position;
  // A title says of the prose below it what it is about; of an item or a row it says only where that stands.
  return kind === "sentence" ? 0.93 - 0.03 * position : 0.5;
}

/** Whether a question about several things finds only one of them here, which is a mention and no answer. */
function speaksOfOneThingOnly({ terms }: Question, { stems }: Candidate): boolean {
  const things = terms.filter(isTelling);
  const spokenOf = things.filter((term) => ownParts.some((part) => worthIn(term, stems[part]) > 0));
  return things.length > 1 && spokenOf.length < 2;
}

/** A row of names in code marks holds many words and says little. */
function isMostlyCode(text: string): boolean {
  return text.replaceAll(/`[^`]*`/gu, "").length < text.length / 2;
}

/** Whether the thing that the question asks for ("the price of …") is not spoken of here. */
function lacksWhatIsAskedFor({ terms }: Question, { stems }: Candidate): boolean {
  return terms.some((term) => term.isAskedFor && ownParts.every((part) => worthIn(term, stems[part]) === 0));
}

/** Whether most of the question is spoken of around the passage only, though nothing points there. */
function restsOnItsSurroundings(question: Question, candidate: Candidate, matched: readonly Term[]): boolean {
  const own = matched.reduce((sum, term) => sum + term.weight, 0);
  const isPointed = leansBack.test(candidate.text) || opensItsSection(question, candidate);
  return !isPointed && own < 0.4 * demandOf(question.terms);
}

/** Whether something that the question names is not spoken of here: then another thing is. */
function lacksName({ terms }: Question, { stems }: Candidate): boolean {
  return terms.some((term) => term.importance === 1 && ownParts.every((part) => worthIn(term, stems[part]) === 0));
}

/** Whether the passage is among the first under a heading or a question that asks just this: then it is the answer. */
function opensItsSection({ terms }: Question, { stems, position, kind }: Candidate): boolean {
  const total = terms.reduce((sum, term) => sum + term.weight, 0);
  const inHeading = terms.reduce((sum, term) => sum + term.weight * worthIn(term, stems.heading), 0);
  return position < 3 && kind !== "code" && inHeading >= 0.75 * total;
}

/** A number that answers stands beside the words it is about; one far away in the sentence is about something else. */
function closenessOf(wanted: RegExp, matched: readonly Term[], { text, stems }: Candidate): number {
  const words = searchable(text).match(wordPattern) ?? [];
  const wantedAt = words.flatMap((word, at) => (wanted.test(word) ? at : []));
  if (wantedAt.length === 0) return 0.7;
  const places = matched.flatMap((term) => placesOf(term, stems.text));
  const distance = Math.min(...places.flatMap((place) => wantedAt.map((at) => Math.abs(at - place))));
  return places.length === 0 ? 1 : 1 - 0.015 * Math.min(distance, 14);
}

/** Full when the sentence is about the thing asked about and says what it is, little when it only mentions it. */
function definitionFitness(question: Question, candidate: Candidate): number {
  const { text, stems } = candidate;
  const words = [...searchable(text).matchAll(wordPattern)];
  const place = Math.min(...question.terms.flatMap((term) => placesOf(term, stems.text)));
  const last = words[place + question.terms.length - 1];
  if (place <= 2 && last && saysWhatItIs.test(searchable(text).slice(last.index + last[0].length))) return 1;
  return opensItsSection(question, candidate) ? 0.8 : 0.45;
}

/** The share of neighbouring words of the question that are neighbours in the passage too. */
function adjacency(terms: readonly Term[], stems: Stems): number {
  if (terms.length < 2) return 0;
  const neighbours = terms.slice(1).filter((term, at) => {
    const before = terms[at];
    return (
      before !== undefined &&
      placesOf(term, stems).some((place) => placesOf(before, stems).some((other) => Math.abs(place - other) <= 2))
    );
  });
  return neighbours.length / (terms.length - 1);
}

function placesOf(term: Term, stems: Stems): number[] {
  return term.stems.flatMap(({ stem }) => stems.get(stem) ?? []);
}
