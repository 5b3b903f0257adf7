import type { LanguageModelV4ToolCall } from "@ai-sdk/provider";
import { z } from "zod";
import { passagesOf, plainText } from "../../documents/passage.ts";
import { leansBack } from "../../documents/relevance.ts";
import type { SearchOutput } from "../../documents/tools.ts";
import type { Conversation } from "./conversation.ts";
import { chooseDiverse } from "./selection.ts";
import { focuses } from "./split.ts";

const Brief = z.object({
  question: z.string(),
  subQuestion: z.object({ question: z.string(), focus: z.string() }).exactOptional(),
});

type Hit = z.infer<typeof SearchOutput>["hits"][number];

interface Found {
  path: string;
  line: number;
  /** Verbatim. */
  quote: string;
  score: number;
}

/**
 * Below this a passage mentions what was asked about and does not answer; one that holds two telling words of the
 * question itself is trusted a little earlier. Tuned by hand on manuals, handbooks, stories, design notes and READMEs.
 */
const leastScore = { oneWord: 0.57, severalWords: 0.48 };
/** What falls this far behind the best passage only repeats its words. */
const leastShareOfBest = 0.72;
const mostFindings = 6;
/** The calls to make before answering: first the searches, then the surroundings of what leans on its context. */
export function nextToolCalls(conversation: Conversation): LanguageModelV4ToolCall[] {
  if (conversation.mayCall("search_documents")) {
    return queriesOf(conversation).map((query, at) =>
      toolCall(`search-${at + 1}`, "search_documents", { query, limit: 24 }),
    );
  }
  if (!conversation.mayCall("read_document")) return [];
  return relevantPassages(conversation)
    .filter(({ quote }) => leansBack.test(quote))
    .map(({ path, line, quote }, at) => {
      const toLine = line + quote.split("\n").length - 1;
      return toolCall(`read-${at + 1}`, "read_document", { path, fromLine: Math.max(1, line - 6), toLine });
    });
}

/** The passages found that bear on the sub-question, best first, each with the sentence that it leans on. */
export function selectFindings(conversation: Conversation): { findings: (Found & { text: string })[] } {
  const findings = relevantPassages(conversation).map((found) => {
    const whole = leansBack.test(found.quote) ? withAntecedent(found, conversation) : found;
    return { text: plainText(whole.quote), ...whole };
  });
  return { findings };
}

/** The sub-question, and the question it came from where that is another. */
function queriesOf(conversation: Conversation): string[] {
  const { question, subQuestion } = Brief.parse(conversation.brief);
  const queries = [subQuestion?.question ?? question, question].map((query) => query.trim().slice(0, 4000) || "?");
  return [...new Set(queries)];
}

function relevantPassages(conversation: Conversation): Found[] {
  const { subQuestion } = Brief.parse(conversation.brief);
  const hits = mergeSearches(conversation);
  const best = Math.max(0, ...hits.map((hit) => hit.score));
  const relevant = hits
    .filter((hit) => hit.score >= Math.max(leastScoreOf(hit), leastShareOfBest * best))
    .map((hit) => ({ ...hit, score: hit.score * focusBonus(hit.text, subQuestion?.focus), serves: hit.heading }));
  return chooseDiverse(relevant, mostFindings).map(({ path, line, text, score }) => ({
    path,
    line,
    quote: text,
    score: Math.min(1, Math.round(score * 1000) / 1000),
  }));
}

function leastScoreOf({ matched }: Hit): number {
  return matched.length > 1 ? leastScore.severalWords : leastScore.oneWord;
}

/** The hits of all searches, each passage once; what answers the sub-question itself counts in full. */
function mergeSearches({ searches }: Conversation): Hit[] {
  const merged = new Map<string, Hit>();
  searches.forEach(({ hits }, search) => {
    for (const hit of hits) {
      const key = `${hit.path}:${hit.line}:${hit.text}`;
      const score = hit.score * (search === 0 ? 1 : 0.85);
      if (score > (merged.get(key)?.score ?? 0)) merged.set(key, { ...hit, score });
    }
  });
  return [...merged.values()];
}

function focusBonus(text: string, focus: string | undefined): number {
  if (focus === focuses.numbers) return /\p{N}/u.test(text) ? 1.05 : 1;
  if (focus === focuses.reasons)
    return /\b(?:because|so that|unless|except|only|if|otherwise|must|never)\b/iu.test(text) ? 1.05 : 1;
  return 1;
}

/** The passage together with the one right before it in the same paragraph, both as one stretch of the file. */
function withAntecedent(found: Found, { excerpts }: Conversation): Found {
  const excerpt = excerpts.find(
    ({ path, fromLine, toLine }) => path === found.path && fromLine <= found.line && found.line <= toLine,
  );
  if (!excerpt) return found;
  const at = offsetOf(excerpt.text, found.line - excerpt.fromLine, found.quote);
  const paragraph = excerpt.text.slice(0, at);
  const start = Math.max(paragraph.lastIndexOf("\n\n"), paragraph.lastIndexOf("\r\n\r\n"));
  const previous = [...passagesOf(paragraph)].at(-1);
  if (at < 0 || !previous || previous.kind !== "sentence") return found;
  const from = offsetOf(excerpt.text, previous.line - 1, previous.text);
  const between = excerpt.text.slice(from + previous.text.length, at);
  if (from < start || between.trim() !== "" || /\n\s*\n/u.test(between)) return found;
  return {
    ...found,
    line: excerpt.fromLine + previous.line - 1,
    quote: excerpt.text.slice(from, at + found.quote.length),
  };
}

/** Where the quote stands that starts on the given line, counted from 0; -1 when it does not. */
function offsetOf(text: string, line: number, quote: string): number {
  let start = 0;
  for (let passed = 0; passed < line; passed++) {
    const newline = text.indexOf("\n", start);
    if (newline < 0) return -1;
    start = newline + 1;
  }
  return text.indexOf(quote, start);
}

function toolCall(toolCallId: string, toolName: string, input: object): LanguageModelV4ToolCall {
  return { type: "tool-call", toolCallId, toolName, input: JSON.stringify(input) };
}
