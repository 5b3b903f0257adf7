import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../agent.ts";
import { type Documents, documentTools } from "../documents/index.ts";
import { brief, groundRules } from "./brief.ts";
import { DocsFolder, Finding, Research, type Searched, SubQuestion } from "./schema.ts";

const Input = z.object({ question: z.string().min(1), subQuestion: SubQuestion.exactOptional(), docs: DocsFolder });
const Answer = z.object({
  findings: z
    .array(
      Finding.extend({ path: z.string().max(4096), quote: z.string().min(1).max(4000), text: z.string().max(4000) }),
    )
    .max(50),
});

const task =
  "Find what the documents say about the sub-question. Search with several queries in other words, read around what " +
  "you find, and give the passages that answer it, best first: at most six, none twice. `quote` is copied from the " +
  "document character for character, `path` and `line` are where it starts, `text` says it on one line, `score` from 0 " +
  "to 1 how well it answers. A passage that only mentions the subject is no finding; give none when nothing answers.";

/** Searches and reads documents for one sub-question. Every quotation it gives was found to stand where it says. */
export function createResearch(documents: Documents): Agent<z.infer<typeof Input>, z.infer<typeof Research>> {
  return defineAgent({
    type: "research",
    description: "Finds the passages of the documents that answer a question",
    input: Input,
    output: Research,
    tools: () => documentTools(documents, undefined),

    async run(ctx, { question, subQuestion = { question, focus: "the direct answer" }, docs }) {
      const searched = await survey(ctx, documents, subQuestion.question, docs);
      if (searched.passages === 0) return { output: { subQuestion, findings: [], searched } };

      await ctx.progress(`searching ${searched.documents} documents: ${subQuestion.question}`);
      const answer = await ctx.generate({
        system: groundRules,
        prompt: brief(task, { question, subQuestion }),
        answer: { name: "findings", schema: Answer },
        tools: documentTools(documents, docs),
      });
      // A model may misquote or miscount: what counts is what the file says.
      const places = await ctx.step("locate quotations", answer.findings, (signal) =>
        documents.locate(docs, answer.findings, signal),
      );
      const findings = answer.findings.flatMap(({ text, score }, at) => {
        const place = places[at];
        return place ? [{ text, score, ...place }] : [];
      });
      await ctx.progress(`${findings.length} passages found: ${subQuestion.question}`);
      return { output: { subQuestion, findings, searched } };
    },
  });
}

async function survey(
  ctx: AgentContext,
  documents: Documents,
  question: string,
  docs: string | undefined,
): Promise<Searched> {
  return ctx.step("survey documents", { question }, async (signal) => {
    const counts = await documents.survey(docs, signal);
    const { words } = await documents.search(docs, question, 1, signal);
    return { ...counts, unknownWords: words.filter(({ passages }) => passages === 0).map(({ word }) => word) };
  });
}
