import { execFile } from "node:child_process";
import { access, constants, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import type { RedisServer, Say } from "./choice.ts";

const run = promisify(execFile);

/** What the two projects call their servers; both speak the same protocol and take the same options. */
export const serverNames = ["redis-server", "valkey-server"];

/** The oldest that BullMQ recommends, and that knows ZADD LT. */
const oldestVersion = { major: 6, minor: 2 };

/** The command line that runs a server; `env` and not our own environment carries the libraries. */
export function serverCommand(server: Pick<RedisServer, "binary" | "libraryPath">): string[] {
  return server.libraryPath ? ["env", `LD_LIBRARY_PATH=${server.libraryPath}`, server.binary] : [server.binary];
}

/** The first server of these that is there, runs, and is not too old. A bare name is looked for on PATH. */
export async function probeServers(binaries: string[], say: Say, libraryPath = ""): Promise<RedisServer | undefined> {
  for (const binary of binaries) {
    if (binary.includes("/") && !(await isExecutable(binary))) continue;
    const server = { kind: "server" as const, binary, ...(libraryPath && { libraryPath }) };
    try {
      const version = await versionOf(server);
      if (isRecent(version)) return { ...server, version };
      say(
        `redis: ${basename(binary)} ${version} is passed over: ${oldestVersion.major}.${oldestVersion.minor} or later is needed`,
      );
    } catch (error) {
      if (!isNotFound(error)) say(`redis: ${basename(binary)} does not run here: ${briefly(error)}`);
    }
  }
  return undefined;
}

/** The server of a directory that packages were unpacked into, with the shared libraries that lie beside it. */
export async function probeUnpacked(directory: string, say: Say): Promise<RedisServer | undefined> {
  const binaries = serverNames.map((name) => join(directory, "usr", "bin", name));
  return probeServers(binaries, say, await sharedLibraryPath(directory));
}

/** The last line of what a failed command wrote, else the error's own words. */
export function briefly(error: unknown): string {
  const stderr = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  return stderr.split("\n").at(-1) || (error instanceof Error ? error.message : String(error));
}

/** Every directory below that holds shared libraries, so that no name of an architecture is built in. */
async function sharedLibraryPath(directory: string): Promise<string> {
  const holders = new Set<string>();
  for (const part of ["lib", "usr/lib"]) {
    const entries = await readdir(join(directory, part), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (/\.so(\.|$)/.test(entry.name)) holders.add(entry.parentPath);
  }
  return [...holders].join(":");
}

async function versionOf(server: Pick<RedisServer, "binary" | "libraryPath">): Promise<string> {
  const [file, ...args] = [...serverCommand(server), "--version"];
  const { stdout } = await run(file, args, { timeout: 5000 });
  const version = /\bv=(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (!version) throw new Error("it does not tell its version");
  return version;
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > oldestVersion.major || (major === oldestVersion.major && minor >= oldestVersion.minor);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
