import { relative, sep } from "node:path";
import { createClient } from "@flotilla/client";
import { Option } from "commander";
import { z } from "zod";
import type { CommandContext, CommandHost } from "../action.ts";
import { addConnectionOptions, connectionOptions, namedFleet } from "../connect.ts";
import { converse } from "../converse.ts";
import type { ExitCode } from "../exit.ts";
import { dataDirAt } from "../local/data-dir.ts";
import { claimDataDir, findLocalFleet } from "../local/fleet-file.ts";
import { withOwnFleet } from "../own-fleet.ts";
import { privateDataDir } from "../private-data-dir.ts";
import { addRequestOptions, documentsFolder, requestFrom, requestOptions } from "../request.ts";

const RunOptions = z.object({ ...connectionOptions, ...requestOptions, docs: z.string().exactOptional() });
type RunOptions = z.output<typeof RunOptions>;

/** Adds `run`: a request from its submission to its result. */
export function addRun({ parent, act }: CommandHost): void {
  const command = parent
    .command("run")
    .description("submit, follow and print the result; starts a fleet for the call when none is up")
    .argument("<input>", "what is wanted: text, or a JSON object")
    .addOption(new Option("--docs <dir>", "folder of documents to answer from"));
  act(addConnectionOptions(addRequestOptions(command)), RunOptions, run);
}

async function run({ options, config, terminal }: CommandContext<RunOptions>, input = ""): Promise<ExitCode> {
  const docs = options.docs === undefined ? undefined : await documentsFolder(options.docs);
  const request = await requestFrom(input, options, docs);
  const home = dataDirAt(options.dataDir ?? config.FLOTILLA_DATA_DIR);
  const stays = { goesOn: "the workflow goes on; see it with `flotilla get`", dataDir: home, request, terminal };

  const named = namedFleet(options, config);
  if (named) return converse({ ...stays, client: named });
  const fleet = await findLocalFleet(home);
  if (fleet && (docs === undefined || isBelow(docs, fleet.docsRoots))) {
    const apiKey = options.key ?? config.FLOTILLA_API_KEY ?? fleet.apiKey;
    return converse({ ...stays, client: createClient({ url: fleet.url, apiKey }) });
  }
  if (fleet) terminal.note(`the fleet that is up may not read ${docs}: it was not started with these documents`);

  const free = await claimDataDir(home);
  const place = free ? { dataDir: home, lock: free } : await privateDataDir(home, "run");
  const docsRoots = docs === undefined ? config.FLOTILLA_DOCS_ROOTS : [docs];
  const goesOn = `the workflow goes on when a fleet is up on ${place.dataDir.path}`;
  return withOwnFleet({ ...place, docsRoots, config, terminal }, (client) =>
    converse({ client, request, dataDir: place.dataDir, goesOn, terminal }),
  );
}

function isBelow(folder: string, roots: readonly string[]): boolean {
  return roots.some((root) => {
    const way = relative(root, folder);
    return way !== ".." && !way.startsWith(`..${sep}`);
  });
}
