import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type Failpoint, failpointsIn } from "./instrument.ts";

export type { Failpoint };

const workspace = join(import.meta.dirname, "../../../..");

/** Flags of Node with which a process has failpoints; see `armed`. */
export const failpointFlags: readonly string[] = ["--import", new URL("hook.ts", import.meta.url).href];

/** Every failpoint of these sources, given by their paths in the workspace, from what stands in them now. */
export function failpointsOf(paths: readonly string[]): Failpoint[] {
  return paths.flatMap((path) => failpointsIn(path, readFileSync(join(workspace, path), "utf8")));
}

/** How a process is to die. */
export interface Arming {
  /** Names of failpoints; it dies at whichever it comes to first. */
  names: Iterable<string>;
  /** At which pass: 1 is the first time that it comes by. */
  pass: number;
  /** File that takes the name of the failpoint, as a line, before the process dies. */
  log: string;
}

/** The variables with which a process that has `failpointFlags` kills itself by SIGKILL at one of these failpoints. */
export function armed({ names, pass, log }: Arming): Record<string, string> {
  return { FAILPOINTS: [...names].join("\n"), FAILPOINT_PASS: String(pass), FAILPOINT_LOG: log };
}

/** The path in the workspace of a source that a process loads, as the names of its failpoints have it. */
export function pathInWorkspace(file: string): string {
  return relative(workspace, file);
}
