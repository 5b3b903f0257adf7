import { logFields } from "./log-fields.ts";
import { destination, type DestinationStream, type Level, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger } from "pino";

const secretFields = ["authorization", "apiKey", "operatorKey", "password", "secret", "token"];

/** Credentials inside a URL or after `Bearer`, wherever in a line they stand: error texts carry them too. */
const secretText = /(?<=:\/\/)[^\s"/@]*:[^\s"/@]*(?=@)|(?<=\bBearer )[^\s"\\]+/g;

/** Where log lines go, and which. */
export interface LoggerOptions {
  /** Which kind of process this is; stands in every line. */
  role: string;
  level: Level | "silent";
  /** Standard error unless given: standard output belongs to the answers of the CLI. */
  stream?: DestinationStream;
}

/** A logger that writes JSON lines without waiting to be flushed, free of keys, passwords and credentials in URLs. */
export function createLogger({ role, level, stream }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { role, pid: process.pid },
      // A copy: pino writes the fields of the line into what it is given.
      mixin: () => ({ ...logFields() }),
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: secretFields.flatMap((field) => [field, `*.${field}`, `*.headers.${field}`]),
        censor: "[redacted]",
      },
      hooks: { streamWrite: (line) => line.replace(secretText, "[redacted]") },
    },
    stream ?? destination({ fd: 2, sync: true }),
  );
}
