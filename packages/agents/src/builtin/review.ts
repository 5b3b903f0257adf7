import { type PhaseRequest, TaskId } from "@flotilla/workflow";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../agent.ts";
import type { Documents } from "../documents/index.ts";
import { brief, groundRules } from "./brief.ts";
import { writeReport } from "./artifacts.ts";
import { type AnswerParagraph, makeReport, Report } from "./report.ts";
import { DocsFolder, SentBack } from "./schema.ts";

const Input = z.object({
  question: z.string().min(1),
  docs: DocsFolder,
  report: Report,
  author: z.object({ task: TaskId, analysis: TaskId }).exactOptional().meta({
    description: "the task that wrote the report, and the one that it wrote it from: may be sent back to, once",
  }),
});
const Output = z.union([Report, z.object({ question: z.string(), docs: DocsFolder, sentBack: SentBack })]);
type Output = z.infer<typeof Output>;

const Answer = z.object({
  unsupported: z.array(z.object({ paragraph: z.int().min(0), reason: z.string().max(1000) })),
});

const task =
  "Name, by index from 0, the paragraphs of the answer that say something which their quotations do not say, or that do " +
  "not bear on the question, each with the reason in a sentence. Name none when all hold.";

const nothingHeld = "What was found did not hold when it was checked against the documents.";

/**
 * Checks each citation against the file as it is on disk now, and each paragraph against its quotations. Paragraphs that
 * do not hold go back to the agent that wrote them, once, where the plan names it: then another writing and another
 * review follow. Else, and for a citation that does not stand any more, what does not hold is dropped, and the artifacts
 * written anew. Its output is the report, or what it sends back.
 */
export function createReview(documents: Documents): Agent<z.infer<typeof Input>, Output> {
  return defineAgent({
    type: "review",
    description: "Checks every citation of a report against the documents, and sends back or drops what does not hold",
    input: Input,
    output: Output,
    mayPlan: true,

    async run(ctx, { question, docs, report, author }) {
      if (report.answer.length === 0) return { output: report };
      const cited = await keepCited(ctx, documents, docs, report.answer);
      const refused = await findUnsupported(ctx, question, cited.answer);
      // Where the phases that send it back were refused, nothing is sent back.
      if (author && refused.size > 0 && !ctx.revision) {
        const paragraphs = [...refused].map(([{ text }, reason]) => ({ text, reason }));
        await ctx.progress(`sent ${refused.size} of ${report.answer.length} paragraphs back to ${author.task}`);
        const output = { question, ...(docs !== undefined && { docs }), sentBack: { paragraphs } };
        return { output, append: anotherTry(ctx.taskId, author, docs !== undefined) };
      }
      const supported = cited.answer.filter((paragraph) => !refused.has(paragraph));
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

/** The paragraphs that do not hold, each with the reason. */
async function findUnsupported(
  ctx: AgentContext,
  question: string,
  answer: readonly AnswerParagraph[],
): Promise<Map<AnswerParagraph, string>> {
  if (answer.length === 0) return new Map();
  const paragraphs = answer.map(({ text, citations }) => ({ text, quotes: citations.map(({ quote }) => quote) }));
  const { unsupported } = await ctx.generate({
    system: groundRules,
    prompt: brief(task, { question, answer: paragraphs }),
    answer: { name: "review", schema: Answer },
  });
  return new Map(
    unsupported.flatMap(({ paragraph, reason }) => {
      const found = answer[paragraph];
      return found ? [[found, reason] as const] : [];
    }),
  );
}

/**
 * The phases that follow what is sent back. They refer to outputs and hold no text themselves, as those of the planner
 * do. The second review has no author to send anything back to, so this happens once.
 */
function anotherTry(reviewer: string, author: { task: string; analysis: string }, hasDocs: boolean): PhaseRequest[] {
  const sent = `tasks.${reviewer}.output`;
  const about = { question: `{{${sent}.question}}`, ...(hasDocs && { docs: `{{${sent}.docs}}` }) };
  const [writing, reviewing] = [`${author.task}-2`, `${reviewer}-2`];
  const analysis = `{{tasks.${author.analysis}.output}}`;
  const again = { id: writing, agent: "execution", input: { ...about, analysis, sentBack: `{{${sent}.sentBack}}` } };
  const review = { id: reviewing, agent: "review", input: { ...about, report: `{{tasks.${writing}.output}}` } };
  return [
    { name: writing, parallel: false, tasks: [again] },
    { name: reviewing, parallel: false, tasks: [review] },
  ];
}
