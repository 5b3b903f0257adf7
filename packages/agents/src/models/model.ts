import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { Price } from "@flotilla/workflow";

/** A model as the AI SDK shapes it, so that each of its providers can serve. */
export type LanguageModel = LanguageModelV4;

/** A model that is loaded when it is first asked: a process whose agents ask none does not pay for one. */
export interface Model {
  /** Which model answers, as reports name it. */
  readonly name: string;
  /** What it costs; undefined where nobody has said. */
  readonly price?: Price | undefined;
  /** Most tokens of one answer, where a budget bounds what it costs; 4,096 unless set. */
  readonly maxOutputTokens?: number | undefined;
  load(): Promise<LanguageModel>;
}

const free: Price = { input: 0, output: 0 };

/** Where an OpenAI-compatible service answers, and as which model. */
export interface ModelSettings {
  /** Up to and including the version, as in `http://127.0.0.1:8000/v1`. */
  baseUrl: string;
  apiKey?: string;
  model: string;
  price?: Price | undefined;
  maxOutputTokens?: number;
}

/** The model that answers as `settings` say; without them the embedded `extractive` one, which needs no network. */
export function createModel(settings?: ModelSettings): Model {
  if (!settings) return { name: "extractive", price: free, load: onceLoaded(loadExtractive) };
  const { model: name, price, maxOutputTokens } = settings;
  return { name, price, maxOutputTokens, load: onceLoaded(() => loadCompatible(settings)) };
}

async function loadCompatible({ baseUrl, apiKey, model }: ModelSettings): Promise<LanguageModel> {
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
  const provider = createOpenAICompatible({
    name: "openaiCompatible",
    baseURL: baseUrl,
    ...(apiKey !== undefined && { apiKey }),
    supportsStructuredOutputs: true,
  });
  return provider.chatModel(model);
}

async function loadExtractive(): Promise<LanguageModel> {
  const { createExtractiveModel } = await import("./extractive.ts");
  return createExtractiveModel();
}

function onceLoaded(load: () => Promise<LanguageModel>): Model["load"] {
  let loaded: Promise<LanguageModel> | undefined;
  return () => (loaded ??= load());
}
