import { z } from "zod";
import { plainText } from "../documents/passage.ts";

/** A quotation and where it stands. */
export const Citation = z.object({
  path: z.string().meta({ description: "relative to the documents folder" }),
  line: z.int().meta({ description: "from 1; the line on which the quote starts" }),
  quote: z.string().meta({ description: "verbatim, line breaks included" }),
});

/** A paragraph of the answer with what it rests on. */
export const AnswerParagraph = z.object({ text: z.string(), citations: z.array(Citation).min(1) });
export type AnswerParagraph = z.infer<typeof AnswerParagraph>;

/** The cited report: the content of `report.json`. */
export const Report = z.object({
  question: z.string(),
  model: z.string().meta({ description: "which model answered" }),
  answer: z.array(AnswerParagraph),
  reason: z.string().exactOptional().meta({ description: "why there is no answer" }),
  sources: z.array(z.object({ path: z.string(), lines: z.array(z.int()) })),
  workflowId: z.string(),
});
export type Report = z.infer<typeof Report>;

/** Puts a report together; one without an answer says why. */
export function makeReport(
  about: Pick<Report, "question" | "model" | "workflowId">,
  answer: AnswerParagraph[],
  reason: string,
): Report {
  const lines = new Map<string, Set<number>>();
  for (const { path, line } of answer.flatMap(({ citations }) => citations)) {
    lines.set(path, (lines.get(path) ?? new Set()).add(line));
  }
  const sources = [...lines].map(([path, cited]) => ({ path, lines: [...cited].toSorted((a, b) => a - b) }));
  return { ...about, answer, ...(answer.length === 0 && { reason }), sources };
}

/** The report as people read it. */
export function renderReport(report: Report): string {
  const citations = report.answer.flatMap((paragraph) =>
    paragraph.citations.map((citation) => ({ ...citation, of: paragraph.text })),
  );
  let number = 0;
  const paragraphs = report.answer.map(
    ({ text, citations: own }) => `${text} ${own.map(() => `[${++number}]`).join("")}`,
  );
  const sources = citations.map(({ path, line, quote, of }, at) => {
    const shown = plainText(quote);
    return `${at + 1}. ${codeSpan(`${path}:${line}`)}${shown === of ? "" : `\n   > ${shown}`}`;
  });
  const body =
    paragraphs.length > 0
      ? [...paragraphs, "## Sources", sources.join("\n")]
      : [`**No answer found.** ${report.reason ?? ""}`.trim()];
  return `${[`# ${plainText(report.question)}`, ...body, "---", originOf(report)].join("\n\n")}\n`;
}

function originOf({ model, workflowId }: Report): string {
  const manner =
    model === "extractive"
      ? "Its sentences are quoted from the documents; none was written by a model."
      : "Every quotation was checked against the documents; the sentences around them are the model's.";
  return `Model: \`${model}\`. ${manner} Workflow: \`${workflowId}\`.`;
}

/** A file name may hold backticks. */
function codeSpan(text: string): string {
  const fence = text.includes("`") ? "``" : "`";
  return `${fence}${text.replaceAll(/\s/gu, " ")}${fence}`;
}
