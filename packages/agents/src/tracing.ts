import {
  flotillaAttributes,
  operations,
  type SpanAttributes,
  spanAttributes,
  type SpanOptions,
  type Tracer,
} from "@flotilla/runtime";
import type { LanguageModelV4CallOptions, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import type { Model } from "./models/model.ts";

/**
 * The same model, each call of which is a span. It stands behind the journal, so what is replayed has none: what a
 * trace shows was asked, and paid for, then.
 */
export function tracedModel(model: Model, tracer: Tracer): Model {
  return {
    ...model,
    async load() {
      const [{ wrapLanguageModel }, loaded] = await Promise.all([import("ai"), model.load()]);
      const { provider, modelId } = loaded;
      const attributes = {
        [spanAttributes.operationName]: operations.chat,
        [spanAttributes.providerName]: provider,
        [spanAttributes.requestModel]: modelId,
      };
      return wrapLanguageModel({
        model: loaded,
        middleware: {
          specificationVersion: "v4",
          wrapGenerate: ({ doGenerate, params }) =>
            tracer.run(`${operations.chat} ${modelId}`, { kind: "client", attributes }, async (span) => {
              if (tracer.showsContent) span.set(askedOf(params));
              const result = await doGenerate();
              span.set({ ...answerOf(result), ...(tracer.showsContent && saidIn(result)) });
              return result;
            }),
        },
      });
    },
  };
}

/** Runs a tool in a span of its own. What it refused was no failure of the task, and one of the call. */
export function tracedTool<T extends object>(
  tracer: Tracer,
  { name, callId, input }: { name: string; callId: string; input: unknown },
  work: () => Promise<T>,
): Promise<T> {
  const attributes = {
    [spanAttributes.operationName]: operations.executeTool,
    [spanAttributes.toolName]: name,
    [spanAttributes.toolCallId]: callId,
    [spanAttributes.toolType]: "function",
  };
  return tracer.run(`${operations.executeTool} ${name}`, { attributes }, async (span) => {
    if (tracer.showsContent) span.set({ [spanAttributes.toolArguments]: JSON.stringify(input) });
    const result = await work();
    if ("refused" in result) span.fail("refused");
    if (tracer.showsContent) span.set({ [spanAttributes.toolResult]: JSON.stringify(result) });
    return result;
  });
}

/** Runs a step or an effect of the agent in a span of its own. */
export function tracedStep<T>(tracer: Tracer, step: string, work: () => Promise<T>): Promise<T> {
  const options: SpanOptions = { attributes: { [flotillaAttributes.step]: step } };
  return tracer.run(`step ${step}`, options, work);
}

function askedOf({ prompt }: LanguageModelV4CallOptions): SpanAttributes {
  return { [spanAttributes.inputMessages]: JSON.stringify(prompt) };
}

function answerOf({ usage, finishReason, response }: LanguageModelV4GenerateResult): SpanAttributes {
  return {
    [spanAttributes.inputTokens]: usage.inputTokens.total,
    [spanAttributes.outputTokens]: usage.outputTokens.total,
    [spanAttributes.finishReasons]: [finishReason.unified],
    [spanAttributes.responseId]: response?.id,
    [spanAttributes.responseModel]: response?.modelId,
  };
}

function saidIn({ content }: LanguageModelV4GenerateResult): SpanAttributes {
  return { [spanAttributes.outputMessages]: JSON.stringify(content) };
}
