import { ProblemError, UnreachableError } from "@flotilla/client";
import { ConfigError } from "@flotilla/runtime/configuration";
import { RedisSetupError } from "@flotilla/redis/choice";

/** What the exit code of `flotilla` says; 69 and 78 as in sysexits.h. */
export const exitCode = {
  done: 0,
  /** The workflow failed, was aborted or cancelled. */
  failed: 1,
  usage: 2,
  unreachable: 69,
  badConfiguration: 78,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** Ends the command: the message is a sentence for the person at the terminal, with what to do. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  constructor(code: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = code;
  }
}

/** The command was interrupted by a signal. */
export class InterruptedError extends Error {
  constructor() {
    super("interrupted");
    this.name = "InterruptedError";
  }
}

/** What to tell the person, and the code to exit with. Errors that nobody foresaw are undefined. */
export function describeFailure(error: unknown): { exitCode: ExitCode; message: string } | undefined {
  if (error instanceof CliError) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof InterruptedError) return { exitCode: exitCode.interrupted, message: error.message };
  if (error instanceof ConfigError) return { exitCode: exitCode.badConfiguration, message: error.message };
  if (error instanceof RedisSetupError) {
    const code = error.code === "redis-unreachable" ? exitCode.unreachable : exitCode.badConfiguration;
    return { exitCode: code, message: error.message };
  }
  if (error instanceof UnreachableError) {
    const message = `nothing answers at ${error.url}: start a fleet with \`flotilla up\`, or name another with --url`;
    return { exitCode: exitCode.unreachable, message };
  }
  if (error instanceof ProblemError) return { exitCode: codeOfProblem(error.status), message: problemText(error) };
  return undefined;
}

function codeOfProblem(status: number): ExitCode {
  if (status === 401 || status === 403) return exitCode.badConfiguration;
  if (status === 429 || status >= 500 || status < 400) return exitCode.unreachable;
  return exitCode.usage;
}

function problemText({ status, code, detail, errors }: ProblemError): string {
  const lines = errors.map(({ path, message }) => `  ${path || "/"} ${message}`);
  const advice = status === 401 ? "; give a key with --key or FLOTILLA_API_KEY" : "";
  return [`${detail} (${code})${advice}`, ...lines].join("\n");
}
