import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, disconnect, RedisKeyStore } from "@flotilla/fleet";
import { createLogger, redisSettingsOf } from "@flotilla/runtime";
import { startProcess, startRedis, type TestProcess, type TestRedis } from "@flotilla/testkit";
import { dieAtEach } from "./mortal.ts";
import type { Mortal } from "./points.ts";
import { type Effect, Work } from "./work.ts";

const mains = (app: Mortal["app"]) => join(import.meta.dirname, `../../../apps/${app}/src/main.ts`);

/** Long enough that nobody misses the end of a workflow, short enough that some are forgotten before this is over. */
const retentionMs = 20_000;

/** An API, a supervisor and an agent that live, for the fleet to go on, and room beside each for one that dies. */
export class MortalFleet {
  readonly work: Work;
  readonly #redis: TestRedis;
  readonly #folder: string;
  readonly #env: Record<string, string>;
  readonly #steady: TestProcess[];

  private constructor(started: {
    work: Work;
    redis: TestRedis;
    folder: string;
    env: Record<string, string>;
    steady: TestProcess[];
  }) {
    this.work = started.work;
    this.#redis = started.redis;
    this.#folder = started.folder;
    this.#env = started.env;
    this.#steady = started.steady;
  }

  static async start(): Promise<MortalFleet> {
    const redis = await startRedis();
    const folder = await mkdtemp(join(tmpdir(), "flotilla-failpoints-"));
    const env = {
      REDIS_URL: redis.url,
      PORT: "0",
      METRICS_PORT: "0",
      LOG_LEVEL: "warn",
      AGENT_TYPE: "deed",
      FLOTILLA_AGENTS_DIR: join(import.meta.dirname, "agents"),
      FLOTILLA_DATA_DIR: join(folder, "data"),
      FLOTILLA_PROBE_EFFECTS: join(folder, "effects.jsonl"),
      FLOTILLA_RETENTION_MS: String(retentionMs),
      // Processes that start a hundred times need not compile everything each time.
      NODE_COMPILE_CACHE: join(folder, "compiled"),
    };
    const steady = await Promise.all(
      (["api", "supervisor", "agent"] as const).map((app) =>
        startProcess({ main: mains(app), env, readyTimeoutMs: 60_000 }),
      ),
    );
    const connection = connect(redisSettingsOf(redis.url), "patient", createLogger({ role: "test", level: "silent" }));
    const { apiKey } = await new RedisKeyStore(connection).create("acme", "user");
    disconnect(connection);
    const work = new Work({ url: String(steady[0]?.ready.url), apiKey });
    return new MortalFleet({ work, redis, folder, env, steady });
  }

  /** Lets a process of that app die at each of these failpoints; gives back those that it never came to. */
  dieAtEach(app: Mortal["app"], names: ReadonlySet<string>): Promise<Set<string>> {
    return dieAtEach({
      main: mains(app),
      // Two tasks at once: more would die with the process, and the third death of one task is poison.
      env: { ...this.#env, AGENT_CONCURRENCY: "2" },
      names,
      log: join(this.#folder, `${app}.log`),
      ...(app === "api" && {
        onReady: (message: object | undefined) => {
          this.work.mortalUrl = message && "url" in message ? String(message.url) : undefined;
        },
      }),
    });
  }

  /** Everything that tasks have done to the world. */
  async effects(): Promise<Effect[]> {
    const text = await readFile(this.#env.FLOTILLA_PROBE_EFFECTS ?? "", "utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Effect);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#steady.map((process) => process.stop("SIGKILL")));
    await this.#redis.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
