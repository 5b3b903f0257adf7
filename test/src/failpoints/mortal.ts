import { type ChildProcess, fork } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as pass } from "node:timers/promises";
import { armed, failpointFlags } from "@flotilla/testkit/failpoints";

/** From being ready: longer than anything that a process does from time to time. */
const lifeMs = 6500;

/** The same for one that dies as it stops: time to be in the midst of its work when it is asked to. */
const shortLifeMs = 600;

/** Orderly ends after which what was not come to is given up: which task is under way at the end is a matter of luck. */
const orderlyEnds = 3;

/** Above the grace that a process has; one that takes longer hangs, and is ended in a way that is no failpoint's. */
const endWithinMs = 30_000;

/** One process of a fleet that is to die at failpoints, again and again, each time in its place. */
export interface MortalOptions {
  /** Path of its `main.ts`. */
  main: string;
  env: Record<string, string>;
  /** Names of the failpoints. */
  names: ReadonlySet<string>;
  /** File of its own, for the names of the failpoints at which it died. */
  log: string;
  /** Told what it said when it was ready; undefined when that is over. */
  onReady?: (message: object | undefined) => void;
}

/**
 * Starts the process, restarts it whenever it has died at a failpoint, and ends when it comes to none any more: not in
 * its work and not when it is asked to stop. It dies at the second pass where there is one, when others go by at the
 * same time, and at the first pass where that is all there is. Gives back the names of those that it never came to.
 */
export async function dieAtEach(options: MortalOptions): Promise<Set<string>> {
  const left = new Set(options.names);
  for (const [nth, ends] of [
    [2, 1],
    [1, orderlyEnds],
  ] as const) {
    let orderly = 0;
    let ms = lifeMs;
    while (orderly < ends && left.size > 0) {
      const { diedAt, wasStopped } = await live(options, left, nth, ms);
      if (diedAt === undefined) orderly++;
      else left.delete(diedAt);
      ms = diedAt !== undefined && wasStopped ? shortLifeMs : lifeMs;
    }
  }
  return left;
}

/** One life: up to the failpoint at which it died, or to its orderly end, which is asked for when its time is over. */
async function live(
  { main, env, log, onReady }: MortalOptions,
  names: ReadonlySet<string>,
  nth: number,
  ms: number,
): Promise<{ diedAt: string | undefined; wasStopped: boolean }> {
  await writeFile(log, "");
  const child = fork(main, [], {
    env: { ...process.env, ...env, ...armed({ names, pass: nth, log }) },
    execArgv: [...failpointFlags],
    silent: true,
  });
  const said = outputOf(child);
  const ended = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>();
  child.once("exit", (code, signal) => ended.resolve({ code, signal }));
  const ready = new Promise<object>((resolve) => child.once("message", resolve));
  void ready.then((message) => onReady?.(message));

  const over = new AbortController();
  const time = ready.then(() => pass(ms, "survived" as const, { signal: over.signal })).catch(() => "dead" as const);
  const wasStopped = (await Promise.race([ended.promise.then(() => "dead" as const), time])) === "survived";
  over.abort();
  onReady?.(undefined);
  const deadline = setTimeout(() => child.kill("SIGQUIT"), endWithinMs);
  if (wasStopped) child.kill("SIGTERM");
  const { code, signal } = await ended.promise;
  clearTimeout(deadline);

  const [diedAt] = (await readFile(log, "utf8")).split("\n");
  if (diedAt && signal === "SIGKILL") return { diedAt, wasStopped };
  if (!diedAt && wasStopped && code === 0) return { diedAt: undefined, wasStopped };
  throw new Error(`${main} ended with ${signal ?? code}, last at ${diedAt || "no failpoint"}:\n${said()}`);
}

function outputOf(child: ChildProcess): () => string {
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (tail = (tail + text).slice(-8192)));
  }
  return () => tail;
}
