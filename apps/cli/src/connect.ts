import { type Client, createClient } from "@flotilla/client";
import type { Role } from "@flotilla/workflow";
import { type Command, Option } from "commander";
import { z } from "zod";
import type { CliConfig } from "./config.ts";
import { CliError, exitCode } from "./exit.ts";
import { dataDirAt } from "./local/data-dir.ts";
import { findLocalFleet } from "./local/fleet-file.ts";

/** The options by which commands find the fleet. */
export const connectionOptions = {
  url: z.url({ protocol: /^https?$/, error: "--url takes an address such as http://127.0.0.1:8080" }).exactOptional(),
  key: z.string().exactOptional(),
  dataDir: z.string().exactOptional(),
  json: z.boolean().default(false),
};
type ConnectionOptions = z.output<z.ZodObject<typeof connectionOptions>>;

/** Declares `--json`. */
export function addJsonOption(command: Command): Command {
  return command.addOption(new Option("--json", "answer in JSON, one object a line"));
}

/** Declares `--data-dir`. */
export function addDataDirOption(command: Command): Command {
  return command.addOption(new Option("--data-dir <dir>", "folder of the local fleet (default: .flotilla)"));
}

/** Declares the options by which commands find the fleet. */
export function addConnectionOptions(command: Command): Command {
  addDataDirOption(command)
    .addOption(new Option("--url <url>", "address of the API (default: FLOTILLA_URL, else the fleet on --data-dir)"))
    .addOption(new Option("--key <key>", "API key (default: FLOTILLA_API_KEY, else that of the fleet on --data-dir)"));
  return addJsonOption(command);
}

/** The fleet that the person or the environment names by its address; undefined when neither does. */
export function namedFleet(options: ConnectionOptions, config: CliConfig): Client | undefined {
  const url = options.url ?? config.FLOTILLA_URL;
  const apiKey = options.key ?? config.FLOTILLA_API_KEY;
  return url === undefined ? undefined : createClient({ url, ...(apiKey !== undefined && { apiKey }) });
}

/**
 * A client of the fleet that the options, the environment or the data folder name, with the key of that role where it is
 * the local one that gives it. Throws with 69 when none is up.
 */
export async function connectFleet(
  options: ConnectionOptions,
  config: CliConfig,
  role: Role = "user",
): Promise<Client> {
  const named = namedFleet(options, config);
  if (named) return named;
  const dataDir = dataDirAt(options.dataDir ?? config.FLOTILLA_DATA_DIR);
  const fleet = await findLocalFleet(dataDir);
  if (!fleet) throw noFleet(dataDir.path);
  const ownKey = role === "operator" ? fleet.operatorKey : fleet.apiKey;
  return createClient({ url: fleet.url, apiKey: options.key ?? config.FLOTILLA_API_KEY ?? ownKey });
}

/** No fleet is up there, and what to do. */
export function noFleet(path: string): CliError {
  const message = `no fleet is up on ${path}: start one with \`flotilla up\`, or name one with --url and --key`;
  return new CliError(exitCode.unreachable, message);
}
