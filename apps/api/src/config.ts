import {
  apiEnvironment,
  callbackEnvironment,
  configOrExit,
  ociEnvironment,
  processEnvironment,
  redisEnvironment,
  storageEnvironment,
  tracingEnvironment,
} from "@flotilla/runtime";

const schema = processEnvironment
  .extend(redisEnvironment.shape)
  .extend(storageEnvironment.shape)
  .extend(ociEnvironment.shape)
  .extend(callbackEnvironment.shape)
  .extend(tracingEnvironment.shape)
  .extend(apiEnvironment.shape);

/** The configuration of an API; exits 78 where it is refused. */
export const config = configOrExit(schema, process.env);
