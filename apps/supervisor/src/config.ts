import {
  callbackEnvironment,
  configOrExit,
  ociEnvironment,
  processEnvironment,
  redisEnvironment,
  storageEnvironment,
  supervisorEnvironment,
  tracingEnvironment,
} from "@flotilla/runtime";

const schema = processEnvironment
  .extend(redisEnvironment.shape)
  .extend(storageEnvironment.shape)
  .extend(ociEnvironment.shape)
  .extend(callbackEnvironment.shape)
  .extend(tracingEnvironment.shape)
  .extend(supervisorEnvironment.shape);

/** The configuration of a supervisor; exits 78 where it is refused. */
export const config = configOrExit(schema, process.env);
