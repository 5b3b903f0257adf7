import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../agent.ts";
import type { Documents } from "../documents/index.ts";
import { brief, groundRules } from "./brief.ts";
import { writeReport } from "./artifacts.ts";
import { type AnswerParagraph, makeReport, Report } from "./report.ts";
import { DocsFolder } from "./schema.ts";

const Input = z.object({ question: z.string().min(1), docs: DocsFolder, report: Report });
const Answer = z.object({ unsupported: z.array(z.int().min(0)) });

const task =
  "Name, by index from 0, the paragraphs of the answer that say something which their quotations do not say, or that do " +
  "not bear on the question. Name none when all hold.";

const nothingHeld = "What was found did not hold when it was checked against the documents.";

/**
 * Checks each citation against the file as it is on disk now, and each paragraph against its quotations. What does not
 * hold is dropped, and the artifacts written anew. Its output is the report.
 */
export function createReview(documents: Documents): Agent<z.infer<typeof Input>, Report> {
  return defineAgent({
    type: "review",
    description: "Checks every citation of a report against the documents, and drops what does not hold",
    input: Input,
    output: Report,

    async run(ctx, { question, docs, report }) {
      if (report.answer.length === 0) return { output: report };
      const cited = await keepCited(ctx, documents, docs, report.answer);
      const supported = await keepSupported(ctx, question, cited.answer);
      const dropped = cited.dropped + cited.answer.length - supported.length;
      await ctx.progress(dropped > 0 ? `dropped ${dropped} that did not hold` : "every citation holds");
      if (dropped === 0) return { output: report };
      return { output: await writeReport(ctx, makeReport(report, supported, nothingHeld)) };
    },
  });
}

async function keepCited(
  ctx: AgentContext,
  documents: Documents,
  docs: string | undefined,
  answer: AnswerParagraph[],
): Promise<{ answer: AnswerParagraph[]; dropped: number }> {
  const citations = answer.flatMap((paragraph) => paragraph.citations);
  const holds = await ctx.step("check citations", citations, (signal) => documents.check(docs, citations, signal));
  const held = new Set(citations.filter((_, at) => holds[at] === true));
  const kept = answer
    .map(({ text, citations: own }) => ({ text, citations: own.filter((citation) => held.has(citation)) }))
    .filter((paragraph) => paragraph.citations.length > 0);
  return { answer: kept, dropped: citations.length - held.size };
}

async function keepSupported(
  ctx: AgentContext,
  question: string,
  answer: AnswerParagraph[],
): Promise<AnswerParagraph[]> {
  if (answer.length === 0) return [];
  const paragraphs = answer.map(({ text, citations }) => ({ text, quotes: citations.map(({ quote }) => quote) }));
  const { unsupported } = await ctx.generate({
    system: groundRules,
    prompt: brief(task, { question, answer: paragraphs }),
    answer: { name: "review", schema: Answer },
  });
  return answer.filter((_, at) => !unsupported.includes(at));
}
