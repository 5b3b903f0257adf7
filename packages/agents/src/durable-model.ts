import type { LanguageModelV4CallOptions, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import type { Json, JsonObject } from "@flotilla/workflow";
import type { LanguageModelMiddleware } from "ai";
import { tokensOf } from "./models/metered.ts";
import type { Purse } from "./purse.ts";
import type { Steps } from "./steps.ts";

/** What calls of a model are made with. */
export interface CallDeps {
  steps: Steps;
  purse: Purse;
  /** Begins the keys of their steps. */
  key: string;
  /** May throw to end the conversation before the next call. */
  beforeCall: () => void;
}

/** Makes each call of a model a durable step, so that a finished call is never paid for twice. */
export function durableCalls({ steps, purse, key, beforeCall }: CallDeps): LanguageModelMiddleware {
  return {
    specificationVersion: "v4",
    async transformParams({ params }) {
      const { maxOutputTokens = purse.maxOutputTokens } = params;
      return maxOutputTokens === undefined ? params : { ...params, maxOutputTokens };
    },
    async wrapGenerate({ doGenerate, params }) {
      beforeCall();
      const request = requestOf(params);
      const record = await steps.runPaid(steps.keyFor(`${key}/model`), request, async () => {
        const bytes = Buffer.byteLength(JSON.stringify(request));
        const { result, hold } = await purse.call(bytes, async () => doGenerate());
        return { result: recordOf(result), payment: purse.payment(tokensOf(result.usage), hold) };
      });
      return resultOf(record);
    },
  };
}

/** What the model is asked; not where and how: a replay may come through another provider or with another key. */
function requestOf({ prompt, tools, toolChoice, responseFormat }: LanguageModelV4CallOptions): Json {
  return toJson({ prompt, tools, toolChoice, responseFormat });
}

function recordOf({
  content,
  finishReason,
  usage,
  providerMetadata,
  response,
}: LanguageModelV4GenerateResult): JsonObject {
  const { id, modelId, timestamp } = response ?? {};
  // An object goes in, so an object comes out.
  return toJson({ content, finishReason, usage, providerMetadata, response: { id, modelId, timestamp } }) as JsonObject;
}

function resultOf(record: JsonObject): LanguageModelV4GenerateResult {
  // Recorded by `recordOf` under the same key, and the parts of a result that are asked for are plain JSON but the time.
  const result = record as unknown as Omit<LanguageModelV4GenerateResult, "response" | "warnings"> & {
    response: { id?: string; modelId?: string; timestamp?: string };
  };
  const { timestamp, ...response } = result.response;
  return {
    ...result,
    response: { ...response, ...(timestamp !== undefined && { timestamp: new Date(timestamp) }) },
    warnings: [],
  };
}

function toJson(value: object): Json {
  return JSON.parse(JSON.stringify(value));
}
