import type { LanguageModelV4CallOptions, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import type { Json, JsonObject } from "@flotilla/workflow";
import type { LanguageModelMiddleware } from "ai";
import type { Steps } from "./steps.ts";

/**
 * Makes each call of a model a durable step under `key`, so that a finished call is never paid for twice.
 * `before` may throw to end the conversation before the next call; what is not replayed is called `through` the other.
 */
export function durableCalls(
  steps: Steps,
  key: string,
  { before, through }: { before: () => void; through: <T>(call: () => Promise<T>) => Promise<T> },
): LanguageModelMiddleware {
  return {
    specificationVersion: "v4",
    async wrapGenerate({ doGenerate, params }) {
      before();
      const record = await steps.run(steps.keyFor(`${key}/model`), requestOf(params), async () =>
        recordOf(await through(async () => doGenerate())),
      );
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
