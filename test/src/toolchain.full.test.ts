import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const sources = ["apps", "packages", "bench", "test"];
const settings = [
  "package.json",
  "package-lock.json",
  "turbo.json",
  "tsconfig.json",
  ".oxlintrc.json",
  "knip.json",
  "vitest.config.ts",
];

/** The part of package-lock.json that is looked at here. */
interface LockFile {
  packages: Record<string, { optionalDependencies?: Record<string, string> }>;
}

/** A copy of the workspace to plant violations in: settings always, sources on demand. */
async function workspace(folders: string[]): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "flotilla-toolchain-"));
  onTestFinished(() => rm(copy, { recursive: true }));
  await Promise.all([
    ...settings.map((file) => cp(join(root, file), join(copy, file))),
    ...folders.map((folder) =>
      cp(join(root, folder), join(copy, folder), {
        recursive: true,
        filter: (source) => basename(source) !== "node_modules",
      }),
    ),
    symlink(join(root, "node_modules"), join(copy, "node_modules")),
  ]);
  return copy;
}

async function plant(copy: string, files: Record<string, string>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await writeFile(join(copy, file), text);
  }
}

/** What a checker of this workspace says about the copy, without line wrapping. */
function check(copy: string, command: string, ...args: string[]): Promise<{ passed: boolean; output: string }> {
  const env = { ...process.env, NO_COLOR: "1", TURBO_TELEMETRY_DISABLED: "1" };
  return new Promise((done) => {
    execFile(join(root, "node_modules/.bin", command), args, { cwd: copy, env }, (error, stdout, stderr) =>
      done({ passed: error === null, output: stdout + stderr }),
    );
  });
}

describe("import boundaries", () => {
  test("the workspace as it is passes, and every package of it was looked at", async () => {
    const { passed, output } = await check(await workspace(sources), "turbo", "boundaries");
    expect(output).toMatch(/Checked \d{2,} files in \d{2} packages, no issues found/);
    expect(passed).toBe(true);
  });

  test.each([
    ["the core importing the fleet", "packages/workflow", `import "@flotilla/fleet";`],
    ["agents importing the fleet", "packages/agents", `import "@flotilla/fleet";`],
    ["agents importing a type of the fleet", "packages/agents", `import type { Fleet } from "@flotilla/fleet";`],
    ["agents importing the fleet lazily", "packages/agents", `await import("@flotilla/fleet");`],
    ["agents reaching into the fleet's folder", "packages/agents", `export * from "../../fleet/src/index.ts";`],
    ["an app importing another app", "apps/agent", `import "@flotilla/api";`],
    ["an app reaching into another app's folder", "apps/cli", `import "../../api/src/index.ts";`],
  ])("%s fails", async (_, folder, text) => {
    const copy = await workspace(sources);
    await plant(copy, { [`${folder}/src/planted.ts`]: text });
    const { passed, output } = await check(copy, "turbo", "boundaries");
    expect(passed).toBe(false);
    expect(output).toContain("planted.ts");
  });

  test.each([
    ["agents", "@flotilla/fleet"],
    ["fleet", "@flotilla/agents"],
    ["runtime", "@flotilla/fleet"],
    ["workflow", "@flotilla/runtime"],
  ])("%s may not even declare %s as a dependency", async (folder, dependency) => {
    const copy = await workspace(sources);
    const file = `packages/${folder}/package.json`;
    const manifest = JSON.parse(await readFile(join(copy, file), "utf8"));
    manifest.dependencies[dependency] = "0.1.0";
    await plant(copy, { [file]: JSON.stringify(manifest) });
    const { passed, output } = await check(copy, "turbo", "boundaries");
    expect(passed).toBe(false);
    expect(output).toContain(`\`${dependency}\` found without any tag listed in allowlist`);
  });
});

test("code that nothing uses is found: a file, an export, a dependency", async () => {
  const copy = await workspace(sources);
  const file = "packages/client/package.json";
  const manifest = JSON.parse(await readFile(join(copy, file), "utf8"));
  manifest.dependencies.pino = "10.4.0";
  await plant(copy, {
    [file]: JSON.stringify(manifest),
    "packages/fleet/src/planted-file.ts": "export const unused = 1;\n",
    "packages/fleet/test/planted.test.ts": 'import { used } from "./planted-export.ts";\n\nused();\n',
    "packages/fleet/test/planted-export.ts": "export const used = () => 1;\nexport const plantedExport = 1;\n",
  });
  const { passed, output } = await check(copy, "knip", "--no-config-hints");
  expect(passed).toBe(false);
  expect(output).toMatch(/^packages\/fleet\/src\/planted-file\.ts/m);
  expect(output).toMatch(/^plantedExport /m);
  expect(output).toMatch(/^pino +packages\/client\/package\.json/m);
  expect(output).not.toMatch(/^used /m);
});

test("the lock file holds every platform's build of a dependency, else `npm ci` refuses it", async () => {
  const { packages }: LockFile = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const missing = Object.entries(packages).flatMap(([location, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${location}/node_modules/${name}` in packages),
    ),
  );
  expect(missing).toEqual([]);
});

describe("lint", () => {
  const lint = (copy: string) => check(copy, "oxlint", "--type-aware", "--deny-warnings", "-f", "unix");
  const queue = `import { Queue } from "bullmq";\n\nconst queue = new Queue("agent.research");\n`;

  test.each([
    {
      rule: "typescript(no-floating-promises)",
      file: "packages/fleet/src/planted.ts",
      wrong: `${queue}queue.add("task", {});\n`,
      right: `${queue}await queue.add("task", {});\n`,
    },
    {
      rule: "node(no-process-env)",
      file: "packages/fleet/src/planted.ts",
      wrong: "export const url = process.env.REDIS_URL;\n",
      right: "export const url = (env: Record<string, string>) => env.REDIS_URL;\n",
    },
    {
      rule: "import(no-default-export)",
      file: "packages/fleet/src/planted.ts",
      wrong: "export default 1;\n",
      right: "export const one = 1;\n",
    },
    {
      rule: "typescript(no-explicit-any)",
      file: "packages/fleet/src/planted.ts",
      wrong: "export const parse = (text: any) => String(text);\n",
      right: "export const parse = (text: unknown) => String(text);\n",
    },
    {
      rule: "typescript(no-non-null-assertion)",
      file: "packages/fleet/src/planted.ts",
      wrong: "export const first = (list: string[]) => list[0]!;\n",
      right: 'export const first = (list: string[]) => list[0] ?? "";\n',
    },
    {
      rule: "typescript(consistent-type-imports)",
      file: "packages/agents/src/planted.ts",
      wrong: 'export type Hidden = import("node:fs").Stats;\n',
      right: 'import type { Stats } from "node:fs";\n\nexport type Hidden = Stats;\n',
    },
    {
      rule: "eslint(max-lines)",
      file: "packages/fleet/src/planted.ts",
      wrong: `export const one = 1;\n${"// one more line\n".repeat(500)}`,
      right: "export const one = 1;\n",
    },
    {
      rule: "eslint(no-restricted-imports)",
      file: "packages/workflow/src/planted.ts",
      wrong: 'import { readFileSync } from "node:fs";\n\nexport const read = readFileSync;\n',
      right: 'import { z } from "zod";\n\nexport const read = z.string();\n',
    },
    {
      rule: "eslint(no-restricted-imports)",
      file: "apps/cli/src/planted.ts",
      wrong: 'export * from "@flotilla/api";\n',
      right: 'export * from "@flotilla/client";\n',
    },
    {
      rule: "eslint(no-restricted-properties)",
      file: "packages/workflow/src/planted.ts",
      wrong: "export const now = () => Date.now();\n",
      right: "export const now = (time: number) => time;\n",
    },
  ])("$rule refuses what is wrong in $file and lets what is right pass", async ({ rule, file, wrong, right }) => {
    const copy = await workspace([]);
    await plant(copy, { [file]: wrong });
    const refused = await lint(copy);
    expect(refused.output).toContain(rule);
    expect(refused.passed).toBe(false);
    await plant(copy, { [file]: right });
    expect(await lint(copy)).toMatchObject({ passed: true });
  });

  test("the environment may be read in config.ts", async () => {
    const copy = await workspace([]);
    await plant(copy, { "apps/api/src/config.ts": "export const url = process.env.REDIS_URL;\n" });
    expect(await lint(copy)).toMatchObject({ passed: true });
  });
});
