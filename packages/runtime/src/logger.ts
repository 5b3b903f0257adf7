import { logFields } from "./log-fields.ts";
import { loggedError } from "./logged-error.ts";
import { createRedact, type Redact } from "./secrets.ts";
import { destination, type DestinationStream, type Level, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger } from "pino";

/** Where log lines go, and which. */
export interface LoggerOptions {
  /** Which kind of process this is; stands in every line. */
  role: string;
  level: Level | "silent";
  /** Takes the secrets of the process out of each line; what looks like one, unless given. */
  redact?: Redact;
  /** Standard error unless given: standard output belongs to the answers of the CLI. */
  stream?: DestinationStream;
}

/**
 * A logger that writes JSON lines without waiting to be flushed, each with the fields that `withLogFields` has given to
 * the work that it is about. Lines are free of secrets, and errors of what libraries hang on them.
 */
export function createLogger({ role, level, redact = createRedact({}), stream }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { role, pid: process.pid },
      // A copy: pino writes the fields of the line into what it is given.
      mixin: () => ({ ...logFields() }),

      serializers: { err: (error: unknown) => loggedError(error) },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: redact },
    },
    stream ?? destination({ fd: 2, sync: true }),
  );
}
