import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4Content } from "@ai-sdk/provider";
import { UnsupportedFunctionalityError } from "@ai-sdk/provider";
import { mergeFindings, reviewAnswer, writeAnswer } from "./extractive/answer.ts";
import { Conversation } from "./extractive/conversation.ts";
import { nextToolCalls, selectFindings } from "./extractive/research.ts";
import { splitQuestion } from "./extractive/split.ts";

/**
 * The embedded model: no network, no key, the same answer every time. It selects sentences of the documents and never
 * writes one of its own. It holds the same conversation as any model of the AI SDK: it calls the tools it is offered
 * (`search_documents`, `read_document`), reads their results, and answers in the shape that was asked for by name; a
 * name that it does not know is an `UnsupportedFunctionalityError`. What it is about it reads from the JSON block of
 * the prompt, and from the whole prompt when there is none. It counts no tokens, for it spends none.
 */
export function createExtractiveModel(): LanguageModelV4 {
  return {
    specificationVersion: "v4",
    provider: "flotilla",
    modelId: "extractive",
    supportedUrls: {},

    async doGenerate(options) {
      options.abortSignal?.throwIfAborted();
      const content = respond(options);
      const isCall = content.some((part) => part.type === "tool-call");
      return {
        content,
        finishReason: { unified: isCall ? "tool-calls" : "stop", raw: undefined },
        usage: {
          inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
          outputTokens: { total: 0, text: 0, reasoning: 0 },
        },
        warnings: [],
      };
    },

    doStream() {
      throw new UnsupportedFunctionalityError({ functionality: "streaming" });
    },
  };
}

function respond(options: LanguageModelV4CallOptions): LanguageModelV4Content[] {
  const conversation = new Conversation(options);
  const calls = nextToolCalls(conversation);
  return calls.length > 0 ? calls : [{ type: "text", text: answerTo(conversation, options.responseFormat) }];
}

function answerTo(conversation: Conversation, format: LanguageModelV4CallOptions["responseFormat"]): string {
  if (format?.type !== "json") return plainAnswer(conversation);
  switch (format.name) {
    case "sub_questions":
      return JSON.stringify(splitQuestion(conversation.brief));
    case "findings":
      return JSON.stringify(selectFindings(conversation));
    case "merged_findings":
      return JSON.stringify(mergeFindings(conversation.brief));
    case "answer":
      return JSON.stringify(writeAnswer(conversation.brief));
    case "review":
      return JSON.stringify(reviewAnswer(conversation.brief));
    default:
      throw new UnsupportedFunctionalityError({
        functionality: `an answer of the shape ${format.name ?? "without a name"}`,
      });
  }
}

/** To an agent that asks for text: the sentences found, each with its place. */
function plainAnswer(conversation: Conversation): string {
  const { findings } = selectFindings(conversation);
  if (findings.length === 0) return "The documents hold no answer to this.";
  return findings.map(({ text, path, line }) => `${text} (${path}:${line})`).join("\n");
}
