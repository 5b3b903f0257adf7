import { execFile, spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, onTestFinished } from "vitest";

const folder = resolve(import.meta.dirname, "../../infra/prometheus");

/** The rules, as text. */
export const rules = await readFile(join(folder, "rules.yml"), "utf8");

const isMissing = spawnSync("promtool", ["--version"]).error !== undefined;
const reason = isMissing ? " (skipped: no promtool on PATH, it comes with Debian's prometheus)" : "";

/** A `describe` whose tests are skipped, with the reason in its name, where there is no promtool. */
export function describePromtool(name: string, define: () => void): void {
  (isMissing ? describe.skip : describe)(`${name}${reason}`, define);
}

/** What promtool says about a copy of the rules, changed or not. */
export async function promtool(args: string[], change: (text: string) => string = (text) => text) {
  const copy = await mkdtemp(join(tmpdir(), "flotilla-rules-"));
  onTestFinished(() => rm(copy, { recursive: true }));
  await cp(folder, copy, { recursive: true });
  await writeFile(join(copy, "rules.yml"), change(rules));
  return new Promise<{ passed: boolean; output: string }>((done) => {
    execFile("promtool", args, { cwd: copy }, (error, stdout, stderr) =>
      done({ passed: error === null, output: stdout + stderr }),
    );
  });
}
