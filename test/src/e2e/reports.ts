import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { z } from "zod";

const Report = z.strictObject({
  question: z.string(),
  model: z.string(),
  answer: z.array(
    z.strictObject({
      text: z.string(),
      citations: z.array(z.strictObject({ path: z.string(), line: z.int().min(1), quote: z.string().min(1) })).min(1),
    }),
  ),
  reason: z.string().exactOptional(),
  sources: z.array(z.unknown()),
  workflowId: z.string(),
});

/** The report in that file, its shape looked at. */
export async function readReport(file: string): Promise<z.infer<typeof Report>> {
  return Report.parse(JSON.parse(await readFile(file, "utf8")));
}

/** Holds every quotation of a report against the documents as they are on disk; gives the paths that it cites. */
export async function expectQuotationsToStand(
  { answer }: z.infer<typeof Report>,
  documents: string,
): Promise<string[]> {
  const citations = answer.flatMap((paragraph) => paragraph.citations);
  for (const { path, line, quote } of citations) {
    const text = await readFile(join(documents, path), "utf8");
    const lines = text.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, before) => sum + before.length + 1, 0);
    const found = text.indexOf(quote, start);
    expect(found, `${path}:${line} has not: ${quote}`).toBeGreaterThanOrEqual(start);
    expect(found, `${path}:${line} is not where it starts: ${quote}`).toBeLessThan(
      start + (lines[line - 1]?.length ?? 0),
    );
  }
  return [...new Set(citations.map(({ path }) => path))];
}
