import { type Agent, createExecutor, createModel, meteredModel } from "@flotilla/agents";
import { openStorage } from "@flotilla/oci";
import type { Logger, Redact, Tracer } from "@flotilla/runtime";
import type { Spend } from "@flotilla/workflow";
import type { config } from "./config.ts";

/** What the tasks of an agent run with, be it in the worker or in a process of their own; `onModelCall` is told of each. */
export function createExecution(
  settings: typeof config,
  agent: Agent,
  { logger, tracer, redact }: { logger: Logger; tracer: Tracer; redact: Redact },
  onModelCall: (spend: Spend) => void = () => undefined,
) {
  const storage = openStorage(settings, logger);
  const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: modelName } = settings;
  const price = settings.MODEL_PRICES[modelName];
  const bounds = { price, maxOutputTokens: settings.MODEL_MAX_OUTPUT_TOKENS };
  const model = createModel(
    baseUrl === undefined
      ? undefined
      : { baseUrl, model: modelName, ...bounds, ...(apiKey === undefined ? {} : { apiKey }) },
  );
  const { blobs } = storage;
  const executor = createExecutor({
    agents: [agent],
    blobs,
    model: meteredModel(model, onModelCall),
    logger,
    tracer,
    redact,
  });
  return { ...storage, executor };
}
