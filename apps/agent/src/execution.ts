import {
  type Agent,
  createExecutor,
  createModel,
  type ExecutorOptions,
  meteredModel,
  type TokenCount,
} from "@flotilla/agents";
import { openStorage } from "@flotilla/oci";
import type { Logger } from "@flotilla/runtime";
import type { config } from "./config.ts";

/** What the worker of an agent knows, and the process of a single task does not. */
export interface Surroundings extends Pick<ExecutorOptions, "circuits" | "limits"> {
  onModelCall?(tokens: TokenCount): void;
}

/** What the tasks of an agent run with, be it in the worker or in a process of their own. */
export function createExecution(
  settings: typeof config,
  agent: Agent,
  logger: Logger,
  { onModelCall = () => undefined, ...surroundings }: Surroundings = {},
) {
  const storage = openStorage(settings, logger);
  const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: modelName } = settings;
  const model = createModel(
    baseUrl === undefined ? undefined : { baseUrl, model: modelName, ...(apiKey === undefined ? {} : { apiKey }) },
  );
  const { blobs } = storage;
  const { provider } = model;
  const metered = meteredModel(model, (tokens) => {
    onModelCall(tokens);
    if (provider !== undefined) void surroundings.limits?.spent(provider, tokens.input + tokens.output);
  });
  const executor = createExecutor({ agents: [agent], blobs, model: metered, ...surroundings, logger });
  return { ...storage, executor };
}
