import type { LanguageModelV4 } from "@ai-sdk/provider";

/** A model as the AI SDK shapes it, so that each of its providers can serve. */
export type LanguageModel = LanguageModelV4;

/** A model that is loaded when it is first asked: a process whose agents ask none does not pay for one. */
export interface Model {
  /** Which model answers, as reports name it. */
  readonly name: string;
  /** Whose service is called for it; undefined where it runs in this process. */
  readonly provider?: string;
  load(): Promise<LanguageModel>;
}

/** Where an OpenAI-compatible service answers, and as which model. */
export interface ModelSettings {
  /** Up to and including the version, as in `http://127.0.0.1:8000/v1`. */
  baseUrl: string;
  apiKey?: string;
  model: string;
}

/** The model that answers as `settings` say; without them the embedded `extractive` one, which needs no network. */
export function createModel(settings?: ModelSettings): Model {
  if (!settings) return onceLoaded("extractive", loadExtractive);
  const loaded = onceLoaded(settings.model, () => loadCompatible(settings));
  return { ...loaded, provider: new URL(settings.baseUrl).host };
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

function onceLoaded(name: string, load: () => Promise<LanguageModel>): Model {
  let loaded: Promise<LanguageModel> | undefined;
  return { name, load: () => (loaded ??= load()) };
}
