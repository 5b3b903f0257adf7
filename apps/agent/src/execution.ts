import { type Agent, createExecutor, createModel, meteredModel, type TokenCount } from "@flotilla/agents";
import { OciStorage } from "@flotilla/oci";
import { createFileBlobs, type Logger, ociSettings } from "@flotilla/runtime";
import type { config } from "./config.ts";

/** What the tasks of an agent run with, be it in the worker or in a process of their own; `onModelCall` is told of each. */
export function createExecution(
  settings: typeof config,
  agent: Agent,
  logger: Logger,
  onModelCall: (tokens: TokenCount) => void = () => undefined,
) {
  const oci = ociSettings(settings);
  const storage = oci && new OciStorage(oci, logger);
  const blobs = storage?.blobs ?? createFileBlobs(settings.FLOTILLA_DATA_DIR);
  const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: modelName } = settings;
  const model = createModel(
    baseUrl === undefined ? undefined : { baseUrl, model: modelName, ...(apiKey === undefined ? {} : { apiKey }) },
  );
  const executor = createExecutor({ agents: [agent], blobs, model: meteredModel(model, onModelCall), logger });
  return { blobs, storage, executor };
}
