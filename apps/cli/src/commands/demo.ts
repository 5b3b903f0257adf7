import { fileURLToPath } from "node:url";
import { Option } from "commander";
import { z } from "zod";
import type { CommandContext, CommandHost } from "../action.ts";
import { addDataDirOption, addJsonOption } from "../connect.ts";
import { converse } from "../converse.ts";
import type { ExitCode } from "../exit.ts";
import { dataDirAt } from "../local/data-dir.ts";
import { withOwnFleet } from "../own-fleet.ts";
import { privateDataDir } from "../private-data-dir.ts";
import { documentsFolder, requestFrom } from "../request.ts";

const ownDocs = fileURLToPath(new URL("../../../../docs", import.meta.url));
const ownQuestion = "How does Flotilla make sure that no workflow is lost when a worker or Redis dies?";

const DemoOptions = z.object({
  docs: z.string().default(ownDocs),
  dataDir: z.string().exactOptional(),
  json: z.boolean().default(false),
});

/** Adds `demo`: a question over documents, answered by a fleet of its own. */
export function addDemo({ parent, act }: CommandHost): void {
  const command = parent
    .command("demo")
    .description("answer a question over documents with a fleet of its own, and print the cited report")
    .argument("[question]", "what to answer", ownQuestion)
    .addOption(new Option("--docs <dir>", "folder of documents to answer from (default: Flotilla's own)"));
  act(addJsonOption(addDataDirOption(command)), DemoOptions, demo);
}

async function demo(
  { options, config, terminal }: CommandContext<z.output<typeof DemoOptions>>,
  question = ownQuestion,
): Promise<ExitCode> {
  const docs = await documentsFolder(options.docs);
  const request = await requestFrom(question, { tag: [] }, docs);
  terminal.note(`${question}\nanswered from ${docs}`);
  const place = await privateDataDir(dataDirAt(options.dataDir ?? config.FLOTILLA_DATA_DIR), "demo");
  const goesOn = "start the demo again";
  return withOwnFleet({ ...place, docsRoots: [docs], config, terminal }, (client) =>
    converse({ client, request, dataDir: place.dataDir, goesOn, terminal }),
  );
}
