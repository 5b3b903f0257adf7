import { execFile, spawnSync } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe } from "vitest";
import { z } from "zod";
import { StandInProvider } from "./stand-in.ts";

export const terraformFolder = resolve(import.meta.dirname, "../../../infra/terraform");

const reason = spawnSync("terraform", ["version"]).error === undefined ? undefined : "no terraform on PATH";

/** A `describe` whose tests are skipped, with the reason in its name, where there is no Terraform. */
export function describeTerraform(name: string, define: () => void): void {
  if (reason === undefined) describe(name, define);
  else describe.skip(`${name} (skipped: ${reason})`, define);
}

/** Runs Terraform in a folder; answers its words, the colours left out. */
export async function terraform(folder: string, args: readonly string[], env: Record<string, string> = {}) {
  // What the machine has set for Terraform, a plug-in cache or a token, has no part in a test.
  const own = { PATH: process.env.PATH, HOME: folder, TF_IN_AUTOMATION: "1", CHECKPOINT_DISABLE: "1", ...env };
  const run = promisify(execFile)("terraform", [...args], { cwd: folder, env: own, maxBuffer: 64 * 1024 * 1024 });
  return run.then(
    ({ stdout, stderr }) => ({ passed: true, stdout, output: stdout + stderr }),
    (error: { stdout: string; stderr: string }) => ({
      passed: false,
      stdout: error.stdout,
      output: error.stdout + error.stderr,
    }),
  );
}

const Plan = z.object({
  resource_changes: z.array(
    z.object({
      address: z.string(),
      type: z.string(),
      index: z.union([z.string(), z.number()]).exactOptional(),
      change: z.object({ actions: z.array(z.string()), after: z.record(z.string(), z.unknown()).nullable() }),
    }),
  ),
});

/** A resource as it is planned; what is not known before the apply is left out. */
export interface PlannedResource {
  address: string;
  type: string;
  index: string | number | undefined;
  actions: string[];
  values: Record<string, unknown>;
}

/** The configuration in a folder of its own, before a stand-in of the provider that has no cloud. */
export class Workspace {
  readonly folder: string;
  readonly #provider: StandInProvider;

  private constructor(folder: string, provider: StandInProvider) {
    this.folder = folder;
    this.#provider = provider;
  }

  /** A copy of infra/terraform with the example's variables, initialized. */
  static async open(): Promise<Workspace> {
    const folder = await mkdtemp(join(tmpdir(), "flotilla-terraform-"));
    await cp(terraformFolder, folder, { recursive: true, filter: (path) => !/\.terraform|tfstate/.test(path) });
    await cp(join(terraformFolder, "terraform.tfvars.example"), join(folder, "terraform.tfvars"));
    const provider = new StandInProvider();
    await provider.start();
    const workspace = new Workspace(folder, provider);
    const { passed, output } = await workspace.run("init", "-input=false");
    if (!passed) throw new Error(output);
    return workspace;
  }

  async close(): Promise<void> {
    this.#provider.stop();
    await rm(this.folder, { recursive: true });
  }

  run(command: string, ...args: string[]): ReturnType<typeof terraform> {
    const env = { TF_REATTACH_PROVIDERS: this.#provider.reattach };
    return terraform(this.folder, [command, ...(command === "show" ? [] : ["-no-color"]), ...args], env);
  }

  /** What would be made, with these variables instead of those of the example. Throws where the plan fails. */
  async plan(variables: Record<string, unknown> = {}): Promise<PlannedResource[]> {
    await writeFile(join(this.folder, "test.auto.tfvars.json"), JSON.stringify(variables));
    const { passed, output } = await this.run("plan", "-input=false", "-out=plan");
    if (!passed) throw new Error(output);
    const shown = await this.run("show", "-json", "plan");
    return Plan.parse(JSON.parse(shown.stdout)).resource_changes.map(({ change, index, ...resource }) => ({
      ...resource,
      index,
      actions: change.actions,
      values: change.after ?? {},
    }));
  }
}
