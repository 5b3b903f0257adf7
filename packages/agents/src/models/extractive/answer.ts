import { z } from "zod";
import { plainText } from "../../documents/passage.ts";
import { absorbHeld, chooseDiverse, isHeldBy, saysTheSame } from "./selection.ts";

const Findings = z.object({
  findings: z.array(
    z.object({ id: z.int(), subQuestion: z.string(), path: z.string(), quote: z.string(), score: z.number() }),
  ),
});
const Points = z.object({ points: z.array(z.object({ id: z.int(), quotes: z.array(z.string()) })) });
const Answer = z.object({ answer: z.array(z.object({ text: z.string(), quotes: z.array(z.string()) })) });

const mostPoints = 6;
/** Most places that are named for one point. */
const mostPlaces = 3;
/** A finding this far behind the best one is left out, unless nothing else serves its sub-question. */
const leastShareOfBest = 0.8;

/** Chooses the findings that answer together: best first, none twice, each sub-question served. */
export function mergeFindings(brief: unknown): { points: { findings: number[] }[] } {
  const all = Findings.parse(brief).findings.map((finding) => ({
    ...finding,
    text: finding.quote,
    serves: finding.subQuestion,
  }));
  const findings = absorbHeld(all);
  const best = Math.max(0, ...findings.map((finding) => finding.score));
  const bestOf = (serves: string) =>
    Math.max(...findings.flatMap((other) => (other.serves === serves ? other.score : [])));
  const good = findings.filter(({ score, serves }) => score >= leastShareOfBest * best || score === bestOf(serves));
  const points = chooseDiverse(good, mostPoints).map((chosen) => {
    const same = all.filter(
      (other) => other.id !== chosen.id && (isHeldBy(other.text, chosen.text) || saysTheSame(other.text, chosen.text)),
    );
    const elsewhere = same.filter(
      (other, at) => other.path !== chosen.path && same.findIndex(({ path }) => path === other.path) === at,
    );
    return { findings: [chosen.id, ...elsewhere.map(({ id }) => id)].slice(0, mostPlaces) };
  });
  return { points };
}

/** The answer is what the documents say, in their own words. */
export function writeAnswer(brief: unknown): { paragraphs: { text: string; points: number[] }[] } {
  const paragraphs = Points.parse(brief).points.flatMap(({ id, quotes }) => {
    const [first] = quotes;
    return first === undefined ? [] : [{ text: plainText(first), points: [id] }];
  });
  return { paragraphs };
}

/** A paragraph stands when its words are those of one of its quotations. */
export function reviewAnswer(brief: unknown): { unsupported: { paragraph: number; reason: string }[] } {
  const { answer } = Answer.parse(brief);
  const isSupported = (text: string, quotes: string[]) => quotes.some((quote) => plainText(quote).includes(text));
  const reason = "none of its quotations says it in these words";
  return {
    unsupported: answer.flatMap(({ text, quotes }, paragraph) =>
      isSupported(text, quotes) ? [] : [{ paragraph, reason }],
    ),
  };
}
