import { canonicalJson, type PhaseRequest } from "@flotilla/workflow";
import { z } from "zod";
import { type Agent, defineAgent } from "../agent.ts";
import type { Documents } from "../documents/index.ts";
import { brief, groundRules } from "./brief.ts";
import { DocsFolder, SubQuestion } from "./schema.ts";

const Question = z.string().regex(/\S/u, "is blank");
const Input = z.union([Question, z.looseObject({ question: Question.exactOptional(), docs: DocsFolder })]);
const Output = z.object({ question: z.string(), docs: DocsFolder, subQuestions: z.array(SubQuestion).min(1).max(3) });
type Output = z.infer<typeof Output>;

const Answer = z.object({ subQuestions: z.array(SubQuestion).min(1).max(3) });

const task =
  "Split the question into at most three sub-questions that can be researched apart from each other and that together " +
  "answer it. Keep the words of the question, and make each sub-question understandable by itself. `focus` says in a " +
  "few words what to look for. A question that cannot be split is asked up to three times with a different focus.";

/**
 * Turns a question over documents into a plan: research in parallel, then analysis, execution and review. Takes a
 * string, or `{question, docs}`; any other object is asked as it stands. Fails at once, class `data`, when the
 * documents folder is missing or not allowed.
 */
export function createPlanner(documents: Documents): Agent<z.infer<typeof Input>, Output> {
  return defineAgent({
    type: "planner",
    description: "Splits a question over documents into sub-questions and plans how they are answered",
    input: Input,
    output: Output,
    mayPlan: true,

    async run(ctx, input) {
      const { question, docs } = readInput(input);
      documents.folder(docs);
      const { subQuestions } = await ctx.generate({
        system: groundRules,
        prompt: brief(task, { question }),
        answer: { name: "sub_questions", schema: Answer },
      });
      await ctx.progress(`split into ${subQuestions.length} lines of research`);
      const output = { question, ...(docs !== undefined && { docs }), subQuestions };
      return { output, append: planFor(ctx.taskId, output) };
    },
  });
}

function readInput(input: z.infer<typeof Input>): { question: string; docs?: string } {
  if (typeof input === "string") return { question: input };
  const { docs, ...asked } = input;
  const question = asked.question ?? canonicalJson(asked);
  return { question, ...(docs !== undefined && { docs }) };
}

/**
 * The phases after planning. They refer to the planner's output and never hold the question itself: a template that
 * stands in a question is then a value, which is not looked into.
 */
function planFor(plannerId: string, { docs, subQuestions }: Output): PhaseRequest[] {
  const planned = `tasks.${plannerId}.output`;
  const about = { question: `{{${planned}.question}}`, ...(docs !== undefined && { docs: `{{${planned}.docs}}` }) };
  const research = subQuestions.map((_, at) => ({
    id: `research-${at + 1}`,
    agent: "research",
    input: { ...about, subQuestion: `{{${planned}.subQuestions.${at}}}` },
  }));
  const results = research.map(({ id }) => `{{tasks.${id}.output}}`);
  return [
    { name: "research", parallel: true, tasks: research },
    {
      name: "analysis",
      parallel: false,
      tasks: [{ id: "analysis", agent: "analysis", input: { ...about, research: results } }],
    },
    {
      name: "execution",
      parallel: false,
      tasks: [{ id: "execution", agent: "execution", input: { ...about, analysis: "{{tasks.analysis.output}}" } }],
    },
    {
      name: "review",
      parallel: false,
      tasks: [
        {
          id: "review",
          agent: "review",
          input: {
            ...about,
            report: "{{tasks.execution.output}}",
            author: { task: "execution", analysis: "analysis" },
          },
        },
      ],
    },
  ];
}
