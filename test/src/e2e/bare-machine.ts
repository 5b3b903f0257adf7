import { cp, mkdir, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { type CommandOptions, workspace } from "./flotilla.ts";

/**
 * The workspace as it is where there is no Redis: a PATH with a shell and little else, and no `.flotilla` beside the
 * code. The CLI finds that by its own place, so it is a copy; what it imports is the original.
 */
export async function bareMachine(folder: string): Promise<CommandOptions> {
  const home = join(folder, "workspace");
  const bin = join(folder, "bin");
  await Promise.all([mkdir(home), mkdir(bin)]);
  const filter = (source: string) => basename(source) !== "node_modules";
  await Promise.all([
    cp(join(workspace, "apps"), join(home, "apps"), { recursive: true, filter }),
    ...["sh", "sleep"].map((tool) => symlink(join("/bin", tool), join(bin, tool))),
    ...["package.json", "packages", "node_modules", "docs", "kubernetes"].map((name) =>
      symlink(join(workspace, name), join(home, name)),
    ),
  ]);
  return { home, cwd: folder, env: { PATH: bin } };
}
