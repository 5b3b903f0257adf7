import { execFile } from "node:child_process";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "@flotilla/testkit/until";
import type { Member } from "../member.ts";
import type { Fault } from "./fault.ts";

/** A clock may be read up to a second ago, and the time that it tells is cut to a second. */
const toleranceMs = 3000;

/** The library of libfaketime that moves the clock of a process; undefined where there is none. */
export async function findFaketime(): Promise<string | undefined> {
  try {
    // The command sets the variable for what it runs, and knows where its own library is.
    const { stdout } = await promisify(execFile)("faketime", ["-f", "+0", "printenv", "LD_PRELOAD"]);
    return stdout.trim();
  } catch {
    return undefined;
  }
}

/** The clocks of processes, each of which can be set while they run. */
export class Clocks {
  readonly #library: string;
  readonly #dir: string;

  private constructor(library: string, dir: string) {
    this.#library = library;
    this.#dir = dir;
  }

  static async open(library: string, dir: string): Promise<Clocks> {
    await mkdir(dir, { recursive: true });
    return new Clocks(library, dir);
  }

  /** What a process is started with to have the clock of that name; it is right until it is set. */
  environment(name: string): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#fileOf(name),
      FAKETIME_CACHE_DURATION: "1",
      // A step of the clock does not touch the monotonic one, by which timers run, and not the times of files.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  /** From about a second later on it goes so far ahead of the machine's, or behind it. */
  async set(name: string, skewMs: number): Promise<void> {
    const file = this.#fileOf(name);
    const seconds = skewMs / 1000;
    // Whole or not at all: a process may be reading it.
    await writeFile(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}s\n`);
    await rename(`${file}.new`, file);
  }

  #fileOf(name: string): string {
    return join(this.#dir, name.replaceAll(" ", "-"));
  }
}

/**
 * The clock of a process steps, by minutes and in either direction, while it works. The fault is over when the process
 * itself tells the other time: a clock that does not move would be a test of nothing.
 */
export function clockStep(clocks: Clocks, members: readonly Member[], byMs: { min: number; max: number }): Fault {
  return {
    name: "clock",
    async inject(random) {
      const member = random.pick(members);
      const skewMs = random.between(byMs.min, byMs.max) * (random.next() < 0.5 ? -1 : 1);
      await clocks.set(member.name, skewMs);
      const isMoved = async () => Math.abs((await skewOf(member)) - skewMs) < toleranceMs;
      await until(isMoved, { timeoutMs: 30_000, what: `the clock of ${member.name} goes ${skewMs} ms wrong` });
      return `${member.name} by ${Math.round(skewMs / 1000)} s`;
    },
  };
}

/** How far a process is ahead of us, by the date that its own HTTP server writes. */
async function skewOf({ ready }: Member): Promise<number> {
  const { headers } = await fetch(String(ready?.["metricsUrl"]), { method: "HEAD" });
  return Date.parse(headers.get("date") ?? "") - Date.now();
}
