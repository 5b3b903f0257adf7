import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RedisServer, Say } from "./choice.ts";
import { briefly, probeUnpacked, serverNames } from "./probe-server.ts";

const run = promisify(execFile);

/** A machine without a network must not keep the demo waiting: its first answer is due in 60 s. */
const deadlineMs = 40_000;

/** Where the fetched packages lie. */
export function unpackedBelow(root: string): string {
  return join(root, "redis");
}

/**
 * Fetches a Redis or Valkey server with its shared libraries from the machine's Debian or Ubuntu mirror
 * and unpacks it below `root`, without root's rights and without installing anything.
 * Every failure is one line to `say`, and undefined.
 */
export async function fetchServer(root: string, say: Say): Promise<RedisServer | undefined> {
  const signal = AbortSignal.timeout(deadlineMs);
  const quiet: Say = () => {};
  let workspace: string | undefined;
  try {
    const packages = await resolvePackages(say, signal);
    say(`redis: fetching ${packages.join(" ")} into ${unpackedBelow(root)} (FLOTILLA_FETCH=0 turns this off)`);
    await mkdir(root, { recursive: true });
    workspace = await mkdtemp(join(root, "fetch-"));
    const unpacked = join(workspace, "redis");
    await downloadAndUnpack(packages, workspace, unpacked, signal);
    if (!(await probeUnpacked(unpacked, say))) throw new Error("the fetched server does not run here");
    await publish(unpacked, unpackedBelow(root), join(workspace, "old"));
    return await probeUnpacked(unpackedBelow(root), quiet);
  } catch (error) {
    say(`redis: none fetched: ${signal.aborted ? `no answer within ${deadlineMs / 1000} s` : briefly(error)}`);
    return undefined;
  } finally {
    if (workspace) await rm(workspace, { recursive: true, force: true });
  }
}

/** The packages that apt would install for a server on this machine as it is: no version or library is named here. */
async function resolvePackages(say: Say, signal: AbortSignal): Promise<string[]> {
  try {
    await run("apt-get", ["--version"], { signal });
  } catch {
    throw new Error("only Debian and Ubuntu have a way to do that; install redis-server or set REDIS_URL");
  }
  const known = await firstInstallable(signal);
  if (known) return known;
  if (process.getuid?.() !== 0) {
    throw new Error(
      "apt knows of no redis-server; run `apt-get update` as root, install redis-server, or set REDIS_URL",
    );
  }
  say("redis: apt knows of no redis-server, so its lists are updated");
  await run("apt-get", ["update", "-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"], { signal });
  const updated = await firstInstallable(signal);
  if (!updated) throw new Error("this distribution has neither redis-server nor valkey-server");
  return updated;
}

async function firstInstallable(signal: AbortSignal): Promise<string[] | undefined> {
  for (const name of serverNames) {
    const args = ["LC_ALL=C", "apt-get", "install", "--simulate", "--no-install-recommends", name];
    const { stdout } = await run("env", args, { signal }).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return { stdout: "" };
    });
    // A new package is `Inst name (version …)`; `Inst name [old] (version …)` would replace one that works as it is.
    const packages = [...stdout.matchAll(/^Inst (\S+) \(/gm)].map(([, found = ""]) => found);
    if (packages.includes(name)) return packages;
  }
  return undefined;
}

async function downloadAndUnpack(packages: string[], from: string, to: string, signal: AbortSignal): Promise<void> {
  await run("apt-get", ["download", "-q", ...packages], { cwd: from, signal });
  for (const file of await readdir(from)) {
    if (file.endsWith(".deb")) await run("dpkg", ["-x", join(from, file), to], { signal });
  }
}

/**
 * Moves a whole and proven directory to its place. Of two processes that fetch at once one finds
 * the place taken, by a directory as good as its own or by an old one that did not run.
 */
async function publish(unpacked: string, place: string, old: string): Promise<void> {
  try {
    await rename(unpacked, place);
  } catch {
    if (await probeUnpacked(place, () => {})) return;
    await rename(place, old);
    await rename(unpacked, place);
  }
}
