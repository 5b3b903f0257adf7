import {
  agentEnvironment,
  configOrExit,
  modelEnvironment,
  probeEnvironment,
  ociEnvironment,
  processEnvironment,
  redisEnvironment,
  storageEnvironment,
  tracingEnvironment,
} from "@flotilla/runtime";

const schema = processEnvironment
  .extend(redisEnvironment.shape)
  .extend(agentEnvironment.shape)
  .extend(probeEnvironment.shape)
  .extend(modelEnvironment.shape)
  .extend(storageEnvironment.shape)
  .extend(ociEnvironment.shape)
  .extend(tracingEnvironment.shape);

/** The configuration of an agent worker; exits 78 where it is refused. */
export const config = configOrExit(schema, process.env);
