import type { Tool, ToolSet } from "ai";
import { z } from "zod";
import type { Documents } from "./documents.ts";

const SearchInput = z.object({
  query: z.string().min(1).max(4000).describe("a question or key words, in the language of the documents"),
  limit: z.int().min(1).max(50).default(12).describe("most passages to give"),
});

/** Output of `search_documents`. */
export const SearchOutput = z.object({
  hits: z.array(
    z.object({
      path: z.string(),
      line: z.int(),
      text: z.string(),
      heading: z.string(),
      score: z.number(),
      matched: z.array(z.string()),
    }),
  ),
  words: z.array(z.object({ word: z.string(), passages: z.int() })),
});

const ReadInput = z.object({
  path: z.string().min(1).max(4096).describe("as search_documents gave it"),
  fromLine: z.int().min(1),
  toLine: z.int().min(1).describe("included; at most 200 lines are given"),
});

/** Output of `read_document`. */
export const ReadOutput = z.object({ path: z.string(), fromLine: z.int(), toLine: z.int(), text: z.string() });

/** Most lines that `read_document` gives at once. */
const maxLines = 200;

/** The tools with which a model works on one documents folder: `search_documents` and `read_document`. */
export function documentTools(documents: Documents, docs: string | undefined): ToolSet {
  // Plain objects: the SDK is loaded when a model is first asked, not with the agents.
  const searchDocuments: Tool<z.infer<typeof SearchInput>, z.infer<typeof SearchOutput>> = {
    description:
      "Full-text search over the documents. Gives passages verbatim with path, line and a score from 0 to 1 of how " +
      "much of the query they speak of, and in how many passages each telling word of the query occurs.",
    inputSchema: SearchInput,
    execute: ({ query, limit }, { abortSignal }) => documents.search(docs, query, limit, abortSignal),
  };
  const readDocument: Tool<z.infer<typeof ReadInput>, z.infer<typeof ReadOutput>> = {
    description: "Gives the lines of one document verbatim, to see what stands around a passage.",
    inputSchema: ReadInput,
    execute: ({ path, fromLine, toLine }, { abortSignal }) =>
      documents.read(docs, { path, fromLine, toLine: Math.min(toLine, fromLine + maxLines - 1) }, abortSignal),
  };
  return { search_documents: searchDocuments, read_document: readDocument };
}
