import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NodeProcess } from "../src/local/node-process.ts";
import { type Exit, LaunchError, restartDelayMs, Supervised } from "../src/local/supervised.ts";

let folder: string;
const cleanUp: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-supervised-"));
});
afterEach(async () => {
  for (const clean of cleanUp.splice(0)) await clean();
  await rm(folder, { recursive: true });
});

interface Seen {
  kind: "started" | "exited";
  pid: number;
  exit?: Exit;
}

/** A supervised scripted child, and what its observer saw. */
function supervise(environment: Record<string, string>) {
  const node = new NodeProcess({
    main: new URL("scripted-child.ts", import.meta.url),
    environment: { ...process.env, ...environment },
    logFile: join(folder, "child.log"),
  });
  const seen: Seen[] = [];
  const waiters: (() => void)[] = [];
  const see = (one: Seen) => {
    seen.push(one);
    for (const wake of waiters.splice(0)) wake();
  };
  const supervised = new Supervised({
    name: { role: "api" },
    launch: () => node.launch(),
    observer: {
      started: (_, pid) => see({ kind: "started", pid }),
      exited: (_, pid, exit) => see({ kind: "exited", pid, exit }),
    },
  });
  cleanUp.push(() => supervised.stop(AbortSignal.timeout(0)));
  const until = async (count: number) => {
    while (seen.length < count) await new Promise<void>((resolve) => waiters.push(resolve));
  };
  return { supervised, node, seen, until };
}

describe("the delay before a restart", () => {
  test("is none for the first deaths and 5 s once five came in 10 s", () => {
    expect(restartDelayMs([1, 2, 3, 4], 5)).toBe(0);
    expect(restartDelayMs([1, 2, 3, 4, 5], 6)).toBe(5000);
    expect(restartDelayMs([1, 2, 3, 4, 5], 10_003)).toBe(0);
  });

  test("never exceeds 5 s, whatever happened", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000)), fc.nat(20_000), (deaths, now) => {
        expect(restartDelayMs(deaths, now)).toBeLessThanOrEqual(5000);
      }),
    );
  });
});

test("start resolves once the process is ready, and its URL is known", async () => {
  const { supervised, node } = supervise({ SCRIPT: "serve" });
  await supervised.start();
  expect(supervised.pid).toBeGreaterThan(0);
  expect(node.url).toBe("http://127.0.0.1:4711");
});

test("a killed process is back within a second, on the port that it had", async () => {
  const { supervised, node, seen, until } = supervise({ SCRIPT: "serve" });
  await supervised.start();
  const killedAt = Date.now();
  process.kill(supervised.pid ?? 0, "SIGKILL");
  await until(3);
  // The promise is a second; the rest is for a machine that is busy.
  expect(Date.now() - killedAt).toBeLessThan(3000);
  expect(seen.map(({ kind }) => kind)).toEqual(["started", "exited", "started"]);
  expect(seen[1]?.exit).toEqual({ code: null, signal: "SIGKILL" });
  expect(seen[2]?.pid).not.toBe(seen[0]?.pid);
  expect(node.url).toBe("http://127.0.0.1:4711");
});

test("a process that is asked to stop does not come back, also when asked twice", async () => {
  const { supervised, seen } = supervise({ SCRIPT: "serve" });
  await supervised.start();
  await supervised.stop(AbortSignal.timeout(5000));
  await supervised.stop(AbortSignal.timeout(5000));
  expect(seen.map(({ kind }) => kind)).toEqual(["started", "exited"]);
});

test("a process that was never started can be stopped", async () => {
  const { supervised } = supervise({ SCRIPT: "serve" });
  await supervised.stop(AbortSignal.timeout(5000));
});

test("a process that does not end by its deadline is killed", async () => {
  const { supervised, seen } = supervise({ SCRIPT: "stubborn" });
  await supervised.start();
  await supervised.stop(AbortSignal.timeout(100));
  expect(seen.at(-1)?.exit).toEqual({ code: null, signal: "SIGKILL" });
});

test("a process whose configuration is refused is not tried again", async () => {
  const { supervised, seen } = supervise({ SCRIPT: "die", EXIT_CODE: "78" });
  await expect(supervised.start()).rejects.toMatchObject({ exit: { code: 78, signal: null } });
  expect(seen).toHaveLength(2);
  expect(await readFile(join(folder, "child.log"), "utf8")).toContain("nothing is right");
});

test("a process that dies five times before it is ready is given up", async () => {
  const { supervised, seen } = supervise({ SCRIPT: "die", EXIT_CODE: "1" });
  await expect(supervised.start()).rejects.toBeInstanceOf(LaunchError);
  expect(seen.filter(({ kind }) => kind === "started")).toHaveLength(5);
});
