import {
  apiEnvironment,
  configOrExit,
  ociEnvironment,
  processEnvironment,
  storageEnvironment,
} from "@flotilla/runtime";
import { z } from "zod";

const schema = z.object({
  HOST: processEnvironment.shape.HOST,
  LOG_LEVEL: processEnvironment.shape.LOG_LEVEL,
  FLOTILLA_DATA_DIR: storageEnvironment.shape.FLOTILLA_DATA_DIR,
  OCI_STREAM_ID: ociEnvironment.shape.OCI_STREAM_ID,
  FLOTILLA_INTAKE: apiEnvironment.shape.FLOTILLA_INTAKE,
  /** Set by whoever started it, to have it back where it was. */
  PORT: z.coerce.number().int().min(0).max(65_535).default(0),
});

/** The configuration of the local server; exits 78 where it is refused. */
export const config = configOrExit(schema, process.env);
