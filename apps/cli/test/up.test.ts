import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { flotilla, startFlotilla, startUnderNpm, underOldNode } from "./launcher.ts";

// One probe and no other agents, so that a fleet is up in a second or two.
const upArgs = [
  "up",
  "--json",
  "--probe",
  "--port",
  "0",
  "--agents",
  "planner=0,research=0,analysis=0,execution=0,review=0",
];

const Ready = z.strictObject({
  event: z.literal("ready"),
  url: z.url(),
  apiKey: z.string(),
  operatorKey: z.string(),
  redis: z.strictObject({ kind: z.enum(["server", "memory"]), url: z.string(), durable: z.boolean() }),
  dataDir: z.string(),
  processes: z.array(
    z.strictObject({
      role: z.enum(["api", "supervisor", "agent", "redis"]),
      agentType: z.string().exactOptional(),
      pid: z.int(),
      metricsUrl: z.url().exactOptional(),
    }),
  ),
});
const Change = z.discriminatedUnion("event", [
  z.object({ event: z.literal("start"), role: z.string(), pid: z.int(), at: z.iso.datetime() }),
  z.object({
    event: z.literal("exit"),
    role: z.string(),
    pid: z.int(),
    code: z.int().nullable(),
    signal: z.string().nullable(),
    at: z.iso.datetime(),
  }),
]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-up-"));
});
afterAll(() => rm(folder, { recursive: true }));

let fleet: Fleet | undefined;
afterEach(async () => {
  fleet?.child.kill("SIGKILL");
  await fleet?.ended;
});

interface Fleet {
  child: ChildProcess;
  ready: z.infer<typeof Ready>;
  next(): Promise<z.infer<typeof Change>>;
  ended: Promise<unknown[]>;
}

async function up(nodeArgs: string[] = []): Promise<Fleet> {
  return readied(startFlotilla(upArgs, folder, {}, nodeArgs));
}

async function readied(child: ChildProcess): Promise<Fleet> {
  const ended = once(child, "exit");
  if (!child.stdout) throw new Error("a child without the pipe that it was given");
  child.stderr?.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<unknown> => JSON.parse((await lines.next()).value ?? "null");
  const ready = Ready.parse(await nextLine());
  return (fleet = { child, ready, ended, next: async () => Change.parse(await nextLine()) });
}

function pidOf({ ready }: Fleet, role: string): number {
  const pid = ready.processes.find((process) => process.role === role)?.pid;
  if (pid === undefined) throw new Error(`no process of role ${role}`);
  return pid;
}

/** Waits until none of the fleet's processes is alive, for `ms` at most. */
async function allGoneWithin({ ready }: Fleet, ms: number): Promise<boolean> {
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  for (const giveUpAt = Date.now() + ms; ready.processes.some(({ pid }) => isAlive(pid)); await sleep(20)) {
    if (Date.now() > giveUpAt) return false;
  }
  return true;
}

test(
  "a fleet is found by the other commands, and gives back what the probe is told",
  { timeout: 180_000 },
  async () => {
    const { ready, child, ended, ...rest } = await up();
    expect(ready.processes.map(({ role }) => role).toSorted()).toEqual(["agent", "api", "redis", "supervisor"]);
    expect((await stat(join(ready.dataDir, "keys.json"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(ready.dataDir, "fleet.json"))).mode & 0o777).toBe(0o600);

    const ran = await flotilla(["run", "--json", "--agent", "probe", '{"output":{"answer":42}}'], folder);
    const lines = ran.stdout
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(ran.code).toBe(0);
    expect(lines[0]).toMatchObject({ seq: 1, type: "workflow.submitted" });
    expect(lines.at(-1)).toMatchObject({ event: "result", status: "completed", result: { output: { answer: 42 } } });

    const failing = await flotilla(["run", "--agent", "probe", '{"fail":[{"attempt":1,"class":"data"}]}'], folder);
    expect(failing).toMatchObject({ code: 1, stderr: expect.stringContaining("the workflow failed") });

    const refused = await flotilla(["submit", "--agent", "probe", '{"outputs":1}'], folder);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    const stranger = await flotilla(["list", "--url", ready.url, "--key", "nobody"], folder);
    expect(stranger.code).toBe(78);
    const made = await flotilla(["keys", "create", "--tenant", "other", "--role", "operator"], folder);
    expect(JSON.parse(made.stdout)).toMatchObject({ tenant: "other", role: "operator", apiKey: expect.any(String) });

    const second = await flotilla(upArgs, folder);
    expect(second).toMatchObject({ code: 78, stdout: "", stderr: expect.stringContaining("a fleet is up on") });

    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(await allGoneWithin({ ready, child, ended, ...rest }, 100)).toBe(true);
  },
);

test(
  "a killed child is back within a second, at the same address with the same data",
  { timeout: 180_000 },
  async () => {
    const running = await up();
    const submitted = await flotilla(["submit", "--agent", "probe", '{"sleepMs":1}'], folder);
    const id = submitted.stdout.trim();
    for (const role of ["api", "supervisor", "agent", "redis"]) {
      if (role === "redis" && !running.ready.redis.durable) continue;
      process.kill(pidOf(running, role), "SIGKILL");
      const exit = await running.next();
      expect(exit).toMatchObject({ event: "exit", role, code: null, signal: "SIGKILL" });
      const start = await running.next();
      expect(start).toMatchObject({ event: "start", role });
      // Redis counts as started when it has loaded its data, the others when they are spawned. The promise is a second;
      // the rest is for a machine that is busy, and less than a restart that was put off.
      expect(Date.parse(start.at) - Date.parse(exit.at)).toBeLessThan(role === "redis" ? 4000 : 3000);
    }
    const { url, apiKey } = running.ready;
    const found = await flotilla(["get", id, "--json", "--url", url, "--key", apiKey], folder);
    expect(JSON.parse(found.stdout)).toMatchObject({ id });
  },
);

test.each([
  ["", []],
  [" that was started under an older Node", underOldNode],
])("nothing outlives a killed parent%s, and the next fleet has its keys", { timeout: 180_000 }, async (_, nodeArgs) => {
  const killed = await up(nodeArgs);
  killed.child.kill("SIGKILL");
  // The promise is 2 s; the rest is for a machine that is busy.
  expect(await allGoneWithin(killed, 4000)).toBe(true);
  const next = await up(nodeArgs);
  expect(next.ready).toMatchObject({ apiKey: killed.ready.apiKey, operatorKey: killed.ready.operatorKey });
  next.child.kill("SIGINT");
  expect(await next.ended).toEqual([0, null]);
});

test("npm that is ended takes its fleet along, though it tells it nothing", { timeout: 180_000 }, async () => {
  const running = await readied(startUnderNpm(upArgs, folder));
  running.child.kill("SIGTERM");
  expect(await running.ended).toEqual([null, "SIGTERM"]);
  expect(await allGoneWithin(running, 15_000)).toBe(true);
});
