import { z } from "zod";
import { Issue } from "./issue.ts";

/** How often phases that cannot run go back to the task that appended them, before they are a failure of it. */
export const maxRevisions = 2;

/** Most problems that are named at once. */
const maxProblems = 1000;

/** Most problems that stand in the message of a failure, which people read. */
const maxInMessage = 20;

/** What was wrong with the phases that a task appended, for the try that is to make them anew. */
export const Revision = z.object({
  number: z.int().min(1).meta({ description: "how often phases of the task were refused" }),
  problems: z.array(Issue).meta({ description: "at JSON pointers below `/append`" }),
});
export type Revision = z.infer<typeof Revision>;

/** What the next try of a task is told, whose phases these problems have. */
export function revisionAfter(before: Revision | undefined, problems: readonly Issue[]): Revision {
  return { number: (before?.number ?? 0) + 1, problems: problems.slice(0, maxProblems) };
}

/** The problems in one line. */
export function problemsInWords(problems: readonly Issue[]): string {
  const named = problems.slice(0, maxInMessage).map(({ path, message }) => `${path}: ${message}`);
  const more = problems.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
