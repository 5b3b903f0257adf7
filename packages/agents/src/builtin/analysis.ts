import { z } from "zod";
import { type Agent, defineAgent } from "../agent.ts";
import { brief, groundRules } from "./brief.ts";
import { Analysis, DocsFolder, Research, type Searched } from "./schema.ts";

const Input = z.object({
  question: z.string().min(1),
  docs: DocsFolder,
  research: z.array(Research.nullable()).min(1),
});

const task =
  "Choose from the findings those that together answer the question: at most six points, the one that answers most " +
  "directly first, every sub-question served where something serves it. Findings that say the same are one point, the " +
  "best of them first. Leave out what does not bear on the question. Refer to findings by their id.";

/** Merges what research found: ranks it, drops repetition, keeps what each sub-question needs. Never rewords. */
export function createAnalysis(): Agent<z.infer<typeof Input>, z.infer<typeof Analysis>> {
  return defineAgent({
    type: "analysis",
    description: "Merges and ranks findings, and drops what repeats or does not bear on the question",
    input: Input,
    output: Analysis,

    async run(ctx, { question, research }) {
      const results = research.filter((result) => result !== null);
      const findings = distinctFindings(results);
      const searched = mergeSearched(results.map((result) => result.searched));
      if (findings.length === 0) return { output: { points: [], searched } };

      const known = new Set(findings.map(({ id }) => id));
      const Answer = z.object({
        points: z
          .array(z.object({ findings: z.array(z.int().refine((id) => known.has(id), "no such finding")).min(1) }))
          .max(12),
      });
      const answer = await ctx.generate({
        system: groundRules,
        prompt: brief(task, { question, findings }),
        answer: { name: "merged_findings", schema: Answer },
      });
      const points = answer.points.map(({ findings: ids }) => {
        const chosen = ids.flatMap((id) => findings.find((finding) => finding.id === id) ?? []);
        return {
          citations: chosen.map(({ path, line, quote }) => ({ path, line, quote })),
          score: Math.max(...chosen.map(({ score }) => score)),
        };
      });
      await ctx.progress(`${findings.length} findings make ${points.length} points`);
      return { output: { points, searched } };
    },
  });
}

/** The findings of all research, each place once, with the sub-question that it serves best. */
function distinctFindings(results: readonly z.infer<typeof Research>[]) {
  const all = results
    .flatMap(({ subQuestion, findings }) =>
      findings.map((finding) => ({ ...finding, subQuestion: subQuestion.question })),
    )
    .toSorted((a, b) => b.score - a.score);
  return all
    .filter((finding, at) => {
      const first = all.findIndex(
        ({ path, line, quote }) => path === finding.path && line === finding.line && quote === finding.quote,
      );
      return first === at;
    })
    .map((finding, at) => ({ id: at + 1, ...finding }));
}

function mergeSearched(all: readonly Searched[]): Searched {
  const most = (count: (searched: Searched) => number) => Math.max(0, ...all.map(count));
  return {
    documents: most(({ documents }) => documents),
    passages: most(({ passages }) => passages),
    skipped: most(({ skipped }) => skipped),
    unknownWords: [...new Set(all.flatMap(({ unknownWords }) => unknownWords))],
  };
}
