import { Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addDataDirOption, addJsonOption } from "../connect.ts";

const RebuildOptions = z.object({
  dataDir: z.string().exactOptional(),
  force: z.boolean().default(false),
  json: z.boolean().default(false),
});
/** What `rebuild` is told. */
export type RebuildOptions = z.output<typeof RebuildOptions>;

/** Adds `rebuild`: what Redis has lost comes back from the archive. */
export function addRebuild({ parent, act }: CommandHost): void {
  const command = parent
    .command("rebuild")
    .description("put back into Redis what the archive has, after Redis has lost its data")
    .addOption(new Option("--force", "also into a Redis that holds live workflows: these stay as they are"));
  act(addJsonOption(addDataDirOption(command)), RebuildOptions, async (context) => {
    const { rebuildFleet } = await import("../rebuild-fleet.ts");
    return rebuildFleet(context);
  });
}
