import type { Command } from "commander";
import { z } from "zod";
import { type CliConfig, readConfig } from "./config.ts";
import { CliError, type ExitCode, exitCode } from "./exit.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

/** What every command works with. */
export interface CommandContext<O> {
  options: O;
  config: CliConfig;
  terminal: Terminal;
}

/** Does the work of a command; the arguments are those that it declares. */
export type CommandAction<O> = (context: CommandContext<O>, ...args: string[]) => Promise<ExitCode>;

/** Adds a command to its parent: parses its options by the schema, and hands its exit code on. */
export interface CommandHost {
  readonly parent: Command;
  act<O extends { json: boolean }>(command: Command, schema: z.ZodType<O>, action: CommandAction<O>): void;
}

/** A host whose commands report their exit code. */
export function commandHost(parent: Command, onExit: (code: ExitCode) => void): CommandHost {
  return {
    parent,
    act: (command, schema, action) => {
      command.action(async (...given: unknown[]) => {
        // commander gives the declared arguments, then the options, then the command itself.
        const args = z.array(z.string().optional()).parse(given.slice(0, -2));
        const options = parseOptions(schema, command.opts());
        const context = { options, config: readConfig(), terminal: openTerminal(options) };
        onExit(await action(context, ...args.map((arg) => arg ?? "")));
      });
    },
  };
}

function parseOptions<O>(schema: z.ZodType<O>, given: unknown): O {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new CliError(exitCode.usage, parsed.error.issues.map((issue) => issue.message).join("\n"));
}
