import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SpawnOptions, spawnRedis } from "@flotilla/redis";
import { describe, inject } from "vitest";
import type { RedisForTests } from "./global-setup.ts";

const found: RedisForTests = inject("redis");

/** Which Redis these tests have: a real one, or none. */
export const redisKind: "server" | "none" = "server" in found ? "server" : "none";

/** A `describe` whose tests are skipped, with the reason in its name, where no real Redis is to be had. */
export function describeRealRedis(name: string, define: () => void): void {
  if ("missing" in found) describe.skip(`${name} (skipped: ${found.missing})`, define);
  else describe(name, define);
}

/** A private Redis of one test file. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Changes with `restart`. */
  readonly pid: number;
  readonly dir: string;
  /** Ends it if it runs, and starts it again on the same port and data. */
  restart(): Promise<void>;
  /** SIGKILL by default; resolves when it has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** What a test may want otherwise: by default the append-only file is on, synced every second. */
export type TestRedisOptions = Partial<
  Pick<SpawnOptions, "port" | "appendonly" | "appendfsync" | "extraArgs" | "sentinel">
>;

/** Starts a real redis-server on a free port, with its data in a directory of its own. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  if ("missing" in found) throw new Error(found.missing);
  const { server } = found;
  const dir = await mkdtemp(join(tmpdir(), "flotilla-redis-"));
  const settings = { port: 0, appendonly: true, appendfsync: "everysec" as const, ...options, dir };
  let running = await spawnRedis(server, settings);
  return {
    url: running.url,
    port: running.port,
    get pid() {
      return running.pid;
    },
    dir,
    async restart() {
      await running.stop();
      running = await spawnRedis(server, { ...settings, port: running.port });
    },
    async kill(signal = "SIGKILL") {
      process.kill(running.pid, signal);
      await running.exited;
    },
    pause: () => void process.kill(running.pid, "SIGSTOP"),
    resume: () => void process.kill(running.pid, "SIGCONT"),
    async stop() {
      await running.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
