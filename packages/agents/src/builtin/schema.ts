import { z } from "zod";
import { Citation } from "./report.ts";

/** The documents folder of a task; the first allowed root where it is not named. */
export const DocsFolder = z
  .string()
  .min(1)
  .exactOptional()
  .meta({ description: "documents folder, below an allowed root; the first root by default" });

/** One line of research. */
export const SubQuestion = z.object({
  question: z.string().min(1).max(4000),
  focus: z.string().max(200).meta({ description: "what to look for with most care" }),
});

/** A quotation that bears on a sub-question; it was found to stand in the file. */
export const Finding = Citation.extend({
  text: z.string().meta({ description: "what it says, on one line" }),
  score: z.number().min(0).max(1).meta({ description: "how well it answers the sub-question" }),
});

/** What was searched, so that an answer that was not found can be explained. */
export const Searched = z.object({
  documents: z.int(),
  passages: z.int(),
  skipped: z.int(),
  unknownWords: z.array(z.string()).meta({ description: "words of the question that no document holds" }),
});
export type Searched = z.infer<typeof Searched>;

/** The output of a research task. */
export const Research = z.object({
  subQuestion: SubQuestion,
  findings: z.array(Finding),
  searched: Searched,
});

/** One point of the answer and the quotations that carry it, the best one first. */
const Point = z.object({ citations: z.array(Citation).min(1), score: z.number() });

/** The output of the analysis. */
export const Analysis = z.object({ points: z.array(Point), searched: Searched });

/** What a review sends back to whoever wrote the report: the paragraphs that do not hold, and why. */
export const SentBack = z.object({ paragraphs: z.array(z.object({ text: z.string(), reason: z.string() })).min(1) });
