import { readFile } from "node:fs/promises";
import { CliError, exitCode } from "../exit.ts";
import { LaunchError } from "./supervised.ts";

const shownLines = 15;

/** A `LaunchError` with the end of the process's log, as a sentence for the person; anything else as it is. */
export async function explainLaunchError(error: unknown, logFile: string): Promise<unknown> {
  if (!(error instanceof LaunchError)) return error;
  const { processName, exit, cause } = error;
  const who = processName.agentType === undefined ? `the ${processName.role}` : `the ${processName.agentType} agent`;
  const ending = exit.signal ?? (exit.code === null ? "no process" : `exit code ${exit.code}`);
  const reason = cause instanceof Error ? cause.message : await lastLines(logFile);
  const code = exit.code === exitCode.badConfiguration ? exitCode.badConfiguration : exitCode.failed;
  return new CliError(code, `${who} does not start (${ending}):\n${reason}\nthe whole log is ${logFile}`, {
    cause: error,
  });
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-shownLines).join("\n");
}
