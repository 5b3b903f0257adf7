import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "vitest";

/** The workspace that these tests belong to. */
export const workspace = join(import.meta.dirname, "../../..");

/** How to start `flotilla`. */
export interface CommandOptions {
  cwd: string;
  /** Added to the environment of the test, of which nothing that concerns a fleet is passed on. */
  env?: Record<string, string | undefined>;
  /** Folder that holds `apps`; the workspace if not given. */
  home?: string;
}

/** What a command said and how it ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts `flotilla` through its launcher, as npx does. */
export function spawnFlotilla(
  args: readonly string[],
  { cwd, env = {}, home = workspace }: CommandOptions,
): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FLOTILLA|REDIS|OPENAI|AGENT|MAX)_/.test(name));
  return spawn(process.execPath, [join(home, "apps/cli/bin/flotilla.js"), ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), NODE_ENV: "test", FLOTILLA_FETCH: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** What a command says until it has ended. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const read = (stream: ChildProcess["stdout"]) => (stream ? text(stream) : Promise.resolve(""));
  const [stdout, stderr, [code]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, "close")]);
  return { code, stdout, stderr };
}

/** Runs `flotilla` to its end. */
export function flotilla(args: readonly string[], options: CommandOptions): Promise<Ended> {
  return ended(spawnFlotilla(args, options));
}

/** The objects that a command with `--json` has printed: one a line, and nothing else. */
export function jsonLines({ stdout }: Pick<Ended, "stdout">): Record<string, unknown>[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const value: unknown = JSON.parse(line);
      expect(value).toBeTypeOf("object");
      // Just seen; arrays are refused where a field is looked at.
      return value as Record<string, unknown>;
    });
}
