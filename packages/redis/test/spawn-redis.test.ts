import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { freePort, isFreePort, type LocalRedis, spawnRedis } from "../src/index.ts";

const sources = join(import.meta.dirname, "..", "src");
const found = inject("redis");
const memory: LocalRedis = { kind: "memory" };
/** The promise is 2 s; the rest is for a machine that is busy. */
const soon = { timeout: 5000, interval: 20 };
const kinds: LocalRedis[] = "server" in found ? [memory, found.server] : [memory];

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-spawn-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each(kinds)("a spawned Redis, $kind", (choice) => {
  const options = (part: string) => ({
    dir: join(dir, `${choice.kind}-${part}`),
    port: 0,
    appendonly: true,
    appendfsync: "everysec" as const,
  });

  test("BullMQ adds and processes jobs on it", async () => {
    const redis = await spawnRedis(choice, options("jobs"));
    const connection = { host: "127.0.0.1", port: redis.port, maxRetriesPerRequest: null };
    const queue = new Queue("work", { connection });
    const done: number[] = [];
    await queue.addBulk([3, 1, 2].map((data) => ({ name: "count", data, opts: { priority: data } })));
    const worker = new Worker<number>("work", async (job) => done.push(job.data), { connection });
    try {
      await vi.waitFor(() => expect(done).toEqual([1, 2, 3]), { timeout: 20_000 });
    } finally {
      await worker.close();
      await queue.close();
      await redis.stop();
    }
  });

  test("it is durable only if it writes to disk", async () => {
    const redis = await spawnRedis(choice, options("durable"));
    await redis.stop();
    expect(redis.durable).toBe(choice.kind === "server");
  });

  test("one that cannot leave word of itself, as on a full disk, does not stay", async () => {
    const { dir: folder, ...rest } = options("wordless");
    await mkdir(join(folder, "redis.pid"), { recursive: true });
    const port = await freePort();
    await expect(spawnRedis(choice, { ...rest, dir: folder, port })).rejects.toThrow("EISDIR");
    // Its guard too; both have the port in their command lines, and ours is not the only Redis of the machine.
    const commands = execFileSync("ps", ["-A", "-ww", "-o", "args"], { encoding: "utf8" }).split("\n");
    const ours = commands.filter((command) => command.includes(folder) || command.includes(sources));
    expect(ours.filter((command) => command.match(/\d+/g)?.includes(`${port}`))).toEqual([]);
  });

  test("it listens on the loopback address only", async () => {
    const redis = await spawnRedis(choice, options("loopback"));
    const other = new Redis({ host: "127.0.0.2", port: redis.port, lazyConnect: true, retryStrategy: () => null });
    other.on("error", () => {});
    await expect(other.connect()).rejects.toThrow();
    await redis.stop();
  });

  test("it tells how it ended", async () => {
    const redis = await spawnRedis(choice, options("ended"));
    process.kill(redis.pid, "SIGKILL");
    expect(await redis.exited).toEqual({ code: null, signal: "SIGKILL" });
    await redis.stop();
  });

  test("it ends within 2 s of a SIGKILL of the process that spawned it", async () => {
    const { pid, port, killSpawner } = await spawnElsewhere(choice, options("orphan").dir);
    await killSpawner();
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), soon);
    expect(await isFreePort(port)).toBe(true);
  });

  test("it ends then even if it does not react to SIGTERM", async () => {
    const { pid, killSpawner } = await spawnElsewhere(choice, options("stuck").dir);
    process.kill(pid, "SIGSTOP");
    await killSpawner();
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), soon);
  });

  test("a killed guard takes it along, and that is told", async () => {
    const redis = await spawnRedis(choice, options("unguarded"));
    process.kill(parentOf(redis.pid), "SIGKILL");
    expect(await redis.exited).toEqual({ code: null, signal: "SIGKILL" });
    await vi.waitFor(async () => expect(await isFreePort(redis.port)).toBe(true), soon);
  });

  test("a taken port is an error", async () => {
    const redis = await spawnRedis(choice, options("first"));
    await expect(spawnRedis(choice, { ...options("second"), port: redis.port })).rejects.toThrow("is taken");
    await redis.stop();
  });
});

if ("missing" in found) test.skip(`a spawned Redis, server (skipped: ${found.missing})`, () => {});

test("one that starts on the data of one that is still ending waits for its end", async () => {
  const options = { dir: join(dir, "successor"), port: 0, appendonly: false, appendfsync: "no" as const };
  const { pid, killSpawner } = await spawnElsewhere(memory, options.dir);
  process.kill(pid, "SIGSTOP");
  await killSpawner();
  expect(isAlive(pid)).toBe(true);
  const redis = await spawnRedis(memory, options);
  expect(isAlive(pid)).toBe(false);
  await redis.stop();
});

test("a second one on the same data is an error", async () => {
  const options = { dir: join(dir, "shared"), port: 0, appendonly: false, appendfsync: "no" as const };
  const redis = await spawnRedis(memory, options);
  await expect(spawnRedis(memory, options)).rejects.toThrow("runs on this directory");
  await redis.stop();
});

test.skipIf("missing" in found)("a real server that cannot start is an error that shows its log", async () => {
  const server = "server" in found ? found.server : expect.fail(found.missing);
  const options = { dir: join(dir, "bad"), port: 0, appendonly: true, appendfsync: "everysec" as const };
  const spawned = spawnRedis(server, { ...options, extraArgs: ["--no-such-setting", "1"] });
  await expect(spawned).rejects.toThrow("no-such-setting");
});

async function spawnElsewhere(choice: LocalRedis, redisDir: string) {
  const main = join(import.meta.dirname, "fixtures", "spawner-main.ts");
  const spawner = fork(main, [redisDir, JSON.stringify(choice)]);
  // What the fixture sends first.
  const [message] = (await once(spawner, "message")) as [{ pid: number; port: number }];
  return {
    ...message,
    async killSpawner() {
      const exit = once(spawner, "exit");
      spawner.kill("SIGKILL");
      await exit;
    },
  };
}

function parentOf(pid: number): number {
  return Number(execFileSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" }));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
