import { z } from "zod";
import { type Agent, defineAgent } from "../agent.ts";
import { brief, groundRules } from "./brief.ts";
import { writeReport } from "./artifacts.ts";
import { makeReport, Report } from "./report.ts";
import { Analysis, DocsFolder, type Searched, SentBack } from "./schema.ts";

const Input = z.object({
  question: z.string().min(1),
  docs: DocsFolder,
  analysis: Analysis,
  sentBack: SentBack.exactOptional().meta({ description: "what a review refused of the answer before" }),
});

const task =
  "Write the answer to the question from the points, in the language of the question: short paragraphs, the direct " +
  "answer first, each resting on the points that it names by id. Write nothing that their quotations do not say.";

const again =
  " An earlier answer was reviewed: the paragraphs in `sentBack` did not hold, for the reasons that are given. Write an " +
  "answer that does not repeat what was wrong with them.";

/** Writes the cited report, as `report.md` for people and `report.json` for programs. */
export function createExecution(): Agent<z.infer<typeof Input>, Report> {
  return defineAgent({
    type: "execution",
    description: "Writes the cited report from the points that analysis chose",
    input: Input,
    output: Report,

    async run(ctx, { question, analysis: { points, searched }, sentBack }) {
      const about = { question, model: ctx.modelName, workflowId: ctx.workflowId };
      if (points.length === 0) {
        return { output: await writeReport(ctx, makeReport(about, [], reasonFor(searched))) };
      }
      const ids = new Set(points.map((_, at) => at + 1));
      const Answer = z.object({
        paragraphs: z
          .array(
            z.object({
              text: z.string().min(1).max(8000),
              points: z.array(z.int().refine((id) => ids.has(id), "no such point")).min(1),
            }),
          )
          .max(20),
      });
      const { paragraphs } = await ctx.generate({
        system: groundRules,
        prompt: brief(sentBack ? task + again : task, {
          question,
          ...(sentBack && { sentBack }),
          points: points.map(({ citations }, at) => ({ id: at + 1, quotes: citations.map(({ quote }) => quote) })),
        }),
        answer: { name: "answer", schema: Answer },
      });
      const answer = paragraphs.map(({ text, points: named }) => ({
        text,
        citations: [...new Set(named)].flatMap((id) => points[id - 1]?.citations ?? []),
      }));
      const report = await writeReport(ctx, makeReport(about, answer, reasonFor(searched)));
      await ctx.progress(`wrote the report: ${answer.length} paragraphs from ${report.sources.length} documents`);
      return { output: report };
    },
  });
}

/** Why nothing was found, in a sentence for whoever asked. */
function reasonFor({ documents, passages, skipped, unknownWords }: Searched): string {
  if (documents === 0 && skipped === 0) return "The documents folder is empty.";
  if (documents === 0) {
    return `The documents folder holds no Markdown or text documents that can be read; ${count(skipped, "file")} of other kinds or binary content passed over.`;
  }
  if (passages === 0) return `There is no text to quote in the ${count(documents, "document")} of the folder.`;
  const unknown = unknownWords.slice(0, 8).map((word) => `"${word}"`);
  const clue = unknown.length > 0 ? ` No document mentions ${unknown.join(", ")}.` : "";
  return `Nothing in the ${count(documents, "document")} of the folder answers this question.${clue}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
