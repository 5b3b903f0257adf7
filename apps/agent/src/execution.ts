import { type Agent, createExecutor, createModel, type ExecutorOptions, meteredModel } from "@flotilla/agents";
import { openStorage } from "@flotilla/oci";
import type { Logger, Redact, Tracer } from "@flotilla/runtime";
import type { Spend } from "@flotilla/workflow";
import type { config } from "./config.ts";

/** What the worker of an agent knows, and the process of a single task does not. */
export interface Surroundings extends Pick<ExecutorOptions, "circuits" | "limits"> {
  onModelCall?(spend: Spend): void;
}

/** What the tasks of an agent run with, be it in the worker or in a process of their own. */
export function createExecution(
  settings: typeof config,
  agent: Agent,
  { logger, tracer, redact }: { logger: Logger; tracer: Tracer; redact: Redact },
  { onModelCall = () => undefined, ...surroundings }: Surroundings = {},
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
  const { provider } = model;
  const metered = meteredModel(model, (spend) => {
    onModelCall(spend);
    if (provider !== undefined) void surroundings.limits?.spent(provider, spend.input + spend.output);
  });
  const executor = createExecutor({
    agents: [agent],
    blobs,
    model: metered,
    ...surroundings,
    logger,
    loopLimit: settings.FLOTILLA_LOOP_LIMIT,
    tracer,
    redact,
  });
  return { ...storage, executor };
}
