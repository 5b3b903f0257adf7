import type { LanguageModelV4Usage } from "@ai-sdk/provider";
import { type Spend, spendOf, type TokenCount } from "@flotilla/workflow";
import type { Model } from "./model.ts";

/**
 * The same model, which tells what each call that it answered has cost. It stands behind the journal, so a call that is
 * replayed is not told again.
 */
export function meteredModel(model: Model, onCall: (spend: Spend) => void): Model {
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
            onCall(spendOf(tokensOf(result.usage), model.price));
            return result;
          },
        },
      });
    },
  };
}

/** The tokens of one call; 0 where the model does not say. */
export function tokensOf({ inputTokens, outputTokens }: LanguageModelV4Usage): TokenCount {
  return { input: inputTokens.total ?? 0, output: outputTokens.total ?? 0 };
}
