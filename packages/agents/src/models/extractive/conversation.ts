import type { LanguageModelV4CallOptions, LanguageModelV4ToolResultPart } from "@ai-sdk/provider";
import { z } from "zod";
import { ReadOutput, SearchOutput } from "../../documents/tools.ts";

const briefBlock = /```json\n(.*)\n```/u;

/** A conversation as the model finds it: what it is about, what it may call, and what its calls have given so far. */
export class Conversation {
  /** The data of the task. */
  readonly brief: Record<string, unknown>;
  readonly searches: z.infer<typeof SearchOutput>[];
  readonly excerpts: z.infer<typeof ReadOutput>[];
  readonly #tools: ReadonlySet<string>;
  readonly #called: ReadonlySet<string>;

  constructor({ prompt, tools = [], toolChoice }: LanguageModelV4CallOptions) {
    const asked = prompt.find((message) => message.role === "user");
    const texts = asked?.content.flatMap((part) => (part.type === "text" ? [part.text] : [])) ?? [];
    this.brief = readBrief(texts.join("\n"));
    this.#tools = new Set(toolChoice?.type === "none" ? [] : tools.map((tool) => tool.name));

    const results = prompt.flatMap((message) => (message.role === "tool" ? message.content : [])).filter(isResult);
    this.#called = new Set(results.map((result) => result.toolName));
    this.searches = results.flatMap((result) => valueOf(result, "search_documents", SearchOutput));
    this.excerpts = results.flatMap((result) => valueOf(result, "read_document", ReadOutput));
  }

  /** Whether the tool is offered and was not called yet. */
  mayCall(tool: string): boolean {
    return this.#tools.has(tool) && !this.#called.has(tool);
  }
}

function readBrief(text: string): Record<string, unknown> {
  const block = briefBlock.exec(text)?.[1];
  if (block === undefined) return { question: text };
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(block));
  } catch {
    return { question: text };
  }
}

function isResult(part: { type: string }): part is LanguageModelV4ToolResultPart {
  return part.type === "tool-result";
}

/** What a tool gave, or nothing when it refused or gave something else. */
function valueOf<T>({ toolName, output }: LanguageModelV4ToolResultPart, tool: string, schema: z.ZodType<T>): T[] {
  if (toolName !== tool) return [];
  const value = output.type === "json" ? output.value : output.type === "text" ? parseJson(output.value) : undefined;
  const parsed = schema.safeParse(value);
  return parsed.success ? [parsed.data] : [];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
