import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import type { LocalRedis } from "./choice.ts";
import { freePort, isFreePort } from "./free-port.ts";
import { leaveWord, untilPredecessorEnds } from "./predecessor.ts";
import { serverCommand } from "./probe-server.ts";

/** How a private Redis is run. */
export interface SpawnOptions {
  /** Holds the data and `redis.log`; made if missing. One Redis at a time. */
  dir: string;
  /** 0 picks a free one. */
  port: number;
  appendonly: boolean;
  appendfsync: "always" | "everysec" | "no";
  /** More options of redis-server, as on its command line; the in-memory one ignores them. */
  extraArgs?: string[];
  /** Makes it a sentinel: the lines of its configuration, kept in `dir`, where it writes what it finds out. */
  sentinel?: readonly string[];
}

/** How a Redis ended: by itself with a code, or by a signal. */
export interface RedisExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A Redis that lives as long as the process that spawned it, at most. */
export interface RunningRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Whether it writes what it is told to disk. */
  readonly durable: boolean;
  /** Resolves when it has ended, whoever ended it. */
  readonly exited: Promise<RedisExit>;
  /** SIGTERM, after a second SIGKILL; resolves when it has ended. */
  stop(): Promise<void>;
}

const guardPath = join(import.meta.dirname, "guard.sh");
const memoryPath = fileURLToPath(new URL("./memory-main.ts", import.meta.url));

/** Long enough to load a large append-only file. */
const readyTimeoutMs = 60_000;

/** A picked port may be taken by somebody else before it is bound. */
const portTries = 5;

/**
 * Runs a Redis on 127.0.0.1 and waits until it answers, its data loaded. It ends within 2 s of this process,
 * also when this process is killed. Throws with the end of its log when it does not come up.
 */
export async function spawnRedis(choice: LocalRedis, options: SpawnOptions): Promise<RunningRedis> {
  await mkdir(options.dir, { recursive: true });
  await untilPredecessorEnds(options.dir);
  if (options.sentinel) await writeFile(sentinelPath(options.dir), `${options.sentinel.join("\n")}\n`);
  // Asked first: whoever has it may answer our ping before our own server has found out.
  if (options.port !== 0 && !(await isFreePort(options.port))) throw new Error(`port ${options.port} is taken`);
  for (let tries = 1; ; tries++) {
    const port = options.port || (await freePort());
    const redis = await startGuarded(choice, { ...options, port });
    try {
      await untilReady(redis);
      return redis;
    } catch (error) {
      await redis.stop();
      const log = await readFile(logPath(options.dir), "utf8");
      if (options.port === 0 && tries < portTries && /Address already in use|EADDRINUSE/.test(log.slice(-1000)))
        continue;
      throw new Error(`redis did not come up on port ${port}: ${log.trim().slice(-1000)}`, { cause: error });
    }
  }
}

async function startGuarded(choice: LocalRedis, options: SpawnOptions): Promise<RunningRedis> {
  const log = await open(logPath(options.dir), "a");
  // A session of its own, so that a Ctrl-C meant for the fleet does not take Redis away under its feet.
  const guard = spawn("sh", [guardPath, ...commandLine(choice, options)], {
    stdio: ["pipe", "pipe", log.fd],
    detached: true,
  });
  try {
    await once(guard, "spawn");
  } finally {
    await log.close();
  }
  const { stdin, stdout } = guard;
  if (!stdin || !stdout) throw new Error("a child without the pipes that it was given");
  // Writing to a guard that is gone fails; that it is gone is told by its exit.
  stdin.on("error", () => {});
  const pid = await readPid(stdout);
  const exited = watchExit(guard, pid);
  try {
    await leaveWord(options.dir, pid, options.port);
  } catch (error) {
    // The disk is full, say. Nobody would know of the server, and it would keep the port from the next one.
    stdin.end();
    await exited;
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${options.port}`,
    port: options.port,
    pid,
    durable: choice.kind === "server" && options.appendonly,
    exited,
    stop: async () => {
      stdin.end();
      await exited;
    },
  };
}

function commandLine(choice: LocalRedis, options: SpawnOptions): string[] {
  if (choice.kind === "memory") return [process.execPath, memoryPath, String(options.port)];
  const settings = {
    bind: "127.0.0.1",
    port: String(options.port),
    dir: options.dir,
    daemonize: "no",
    save: "",
    appendonly: options.appendonly ? "yes" : "no",
    // A rewrite of the append-only file took a quarter of a core under load, most of it compression.
    rdbcompression: "no",
    "auto-aof-rewrite-min-size": "256mb",
    appendfsync: options.appendfsync,
    "maxmemory-policy": "noeviction",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const role = options.sentinel ? [sentinelPath(options.dir), "--sentinel"] : [];
  return [...serverCommand(choice), ...role, ...args, ...(options.extraArgs ?? [])];
}

async function readPid(stdout: Readable): Promise<number> {
  for await (const line of createInterface({ input: stdout })) return Number(line);
  throw new Error("the guard of redis ended before it started one");
}

async function watchExit(guard: ChildProcess, pid: number): Promise<RedisExit> {
  const [code, signal]: [number | null, NodeJS.Signals | null] = await new Promise((resolve) =>
    guard.once("exit", (...exit) => resolve(exit)),
  );
  if (signal) {
    // The guard was killed and its server lives on. Its watcher too, and must not wait until the pid is another's.
    killIfAlive(pid);
    guard.stdin?.end();
    return { code: null, signal };
  }
  return code !== null && code > 128 ? { code: null, signal: signalOf(code - 128) } : { code, signal: null };
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended with its guard.
  }
}

function signalOf(number: number): NodeJS.Signals | null {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  // The keys of that table are the names of signals; Object.entries forgets it.
  return (entry?.[0] as NodeJS.Signals | undefined) ?? null;
}

function sentinelPath(dir: string): string {
  return join(dir, "sentinel.conf");
}

function logPath(dir: string): string {
  return join(dir, "redis.log");
}

/** ioredis holds commands back while the server says LOADING, so one answered ping means that all data is there. */
async function untilReady({ port, exited }: RunningRedis): Promise<void> {
  const redis = new Redis({
    host: "127.0.0.1",
    port,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    maxLoadingRetryTime: 20,
  });
  redis.on("error", () => {});
  const timeout = AbortSignal.timeout(readyTimeoutMs);
  try {
    await Promise.race([
      redis.ping(),
      exited.then((exit) => Promise.reject(new Error(`it ended with ${exit.signal ?? exit.code}`))),
      once(timeout, "abort").then(() => Promise.reject(new Error("it did not answer in time"))),
    ]);
  } finally {
    redis.disconnect();
  }
}
