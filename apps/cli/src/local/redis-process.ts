import { type LocalRedis, type RunningRedis, spawnRedis } from "@flotilla/redis";
import type { Running } from "./supervised.ts";
import { untilFree } from "./until-free.ts";

/** Launches the private Redis of a local fleet again and again, on the port that it had the first time. */
export class RedisProcess {
  readonly #choice: LocalRedis;
  readonly #dir: string;
  readonly #appendfsync: "always" | "everysec";
  #latest: RunningRedis | undefined;

  constructor(choice: LocalRedis, dir: string, appendfsync: "always" | "everysec") {
    this.#choice = choice;
    this.#dir = dir;
    this.#appendfsync = appendfsync;
  }

  /** Throws before the first launch. */
  get url(): string {
    if (!this.#latest) throw new Error("redis has not been launched");
    return this.#latest.url;
  }

  get durable(): boolean {
    return this.#latest?.durable ?? false;
  }

  async launch(): Promise<Running> {
    const port = this.#latest?.port ?? 0;
    if (port !== 0) await untilFree(port);
    const redis = await spawnRedis(this.#choice, {
      dir: this.#dir,
      port,
      appendonly: true,
      appendfsync: this.#appendfsync,
    });
    this.#latest = redis;
    return {
      pid: redis.pid,
      ready: Promise.resolve(),
      exited: redis.exited,
      // It knows one way to end, which is quick and safe: what it acknowledged is in its file.
      kill: () => void redis.stop(),
    };
  }
}
