import type { LanguageModelV4Usage } from "@ai-sdk/provider";
import type { Model } from "./model.ts";

/** Tokens of one call of a model; 0 where the model does not say. */
export interface TokenCount {
  input: number;
  output: number;
}

/**
 * The same model, which tells what each call that it answered has spent. It stands behind the journal, so a call that is
 * replayed is not told again.
 */
export function meteredModel(model: Model, onCall: (tokens: TokenCount) => void): Model {
  return {
    ...model,
    async load() {
      const [{ wrapLanguageModel }, loaded] = await Promise.all([import("ai"), model.load()]);
      return wrapLanguageModel({
        model: loaded,
        middleware: {
          specificationVersion: "v4",
          async wrapGenerate({ doGenerate }) {
            const result = await doGenerate();
            onCall(countOf(result.usage));
            return result;
          },
        },
      });
    },
  };
}

function countOf({ inputTokens, outputTokens }: LanguageModelV4Usage): TokenCount {
  return { input: inputTokens.total ?? 0, output: outputTokens.total ?? 0 };
}
