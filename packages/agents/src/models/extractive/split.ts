import { z } from "zod";
import { isTelling } from "../../documents/relevance.ts";
import { questionWords } from "../../documents/word.ts";

const Brief = z.object({ question: z.string() });

/** What to look for with most care when a question is asked three times over. */
export const focuses = {
  answer: "the direct answer",
  numbers: "numbers, limits and defaults",
  reasons: "reasons, conditions and exceptions",
} as const;

const nextQuestion =
  /[?;]\s+|,?\s+(?:and|or|but)\s+(?=(?:what|how|why|when|where|who|whom|which|is|are|does|do|did|can|should|will|was|were)\b)/giu;
const pointsBack = /\b(?:it|its|they|them|their|this|these|those|he|she|his|her)\b/iu;
/** Longest sub-question in characters. */
const maxLength = 2000;

/**
 * Splits a question at its seams: each clause that asks something of its own is a sub-question, and one that points
 * back ("what happens when it fails") takes the words along that it points to. A single question is asked with three
 * different things to look for. At most three.
 */
export function splitQuestion(brief: unknown): { subQuestions: { question: string; focus: string }[] } {
  const question = Brief.parse(brief).question.trim().slice(0, maxLength);
  const clauses = clausesOf(question);
  if (clauses.length < 2) {
    return { subQuestions: Object.values(focuses).map((focus) => ({ question, focus })) };
  }
  const subQuestions = clauses.slice(0, 3).map((clause) => ({ question: clause, focus: focuses.answer }));
  if (subQuestions.length < 3) subQuestions.push({ question, focus: focuses.answer });
  return { subQuestions };
}

function clausesOf(question: string): string[] {
  const clauses: string[] = [];
  let subject: string[] = [];
  for (const part of question.split(nextQuestion)) {
    const clause = part.trim().replace(/[?.!\s]+$/u, "");
    if (clause === "") continue;
    const words = questionWords(clause)
      .filter(isTelling)
      .map(({ word }) => word);
    const leans = words.length === 0 || pointsBack.test(clause);
    // What does not even name a first subject is no seam: the question stays whole.
    if (leans && words.length === 0 && subject.length === 0) return [];
    clauses.push(leans && subject.length > 0 ? `${clause}? (regarding ${subject.join(" ")})` : `${clause}?`);
    if (!leans) subject = subjectOf(words);
  }
  return clauses;
}

/** Verbs say what happens to the subject; they are what the next clause asks anew. */
function subjectOf(words: string[]): string[] {
  const nouns = words.filter((word) => !/(?:ed|ing)$/u.test(word));
  return (nouns.length > 0 ? nouns : words).slice(0, 3);
}
