import { type Agent, createExecutor, createModel } from "@flotilla/agents";
import { openStorage } from "@flotilla/oci";
import type { Logger } from "@flotilla/runtime";
import type { config } from "./config.ts";

/** What the tasks of an agent run with, be it in the worker or in a process of their own. */
export function createExecution(settings: typeof config, agent: Agent, logger: Logger) {
  const storage = openStorage(settings, logger);
  const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: modelName } = settings;
  const model = createModel(
    baseUrl === undefined ? undefined : { baseUrl, model: modelName, ...(apiKey === undefined ? {} : { apiKey }) },
  );
  return { ...storage, executor: createExecutor({ agents: [agent], blobs: storage.blobs, model, logger }) };
}
