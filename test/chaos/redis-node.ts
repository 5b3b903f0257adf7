import { setTimeout as delay } from "node:timers/promises";
import { type RedisServer, type RunningRedis, type SpawnOptions, spawnRedis } from "@flotilla/redis";
import type { Role, Victim } from "./member.ts";

/** A Redis of a chaos run: its data survive it, and it comes back whenever it ends, on the same port. */
export class RedisNode implements Victim {
  readonly role: Role = "redis";
  readonly name: string;
  readonly #server: RedisServer;
  #options: SpawnOptions;
  #running: RunningRedis | undefined;
  #isHeld = false;
  #loop: Promise<void> | undefined;

  private constructor(name: string, server: RedisServer, options: SpawnOptions, running: RunningRedis) {
    this.name = name;
    this.#server = server;
    this.#options = { ...options, port: running.port };
    this.#running = running;
    this.#loop = this.#keepRunning();
  }

  static async start(name: string, server: RedisServer, options: SpawnOptions): Promise<RedisNode> {
    return new RedisNode(name, server, options, await spawnRedis(server, options));
  }

  get port(): number {
    return this.#options.port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get dir(): string {
    return this.#options.dir;
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Ends it and keeps it down, until `release`. */
  async hold(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#isHeld = true;
    const { pid } = this;
    if (pid !== undefined) process.kill(pid, signal);
    await this.#loop;
  }

  /** Starts it again after `hold`, with other arguments if they are given; resolves when its data are loaded. */
  async release(extraArgs?: string[]): Promise<void> {
    if (extraArgs) this.#options = { ...this.#options, extraArgs };
    this.#isHeld = false;
    this.#running = await spawnRedis(this.#server, this.#options);
    this.#loop = this.#keepRunning();
  }

  /** Ends it for good; its data stay. */
  async stop(): Promise<void> {
    await this.hold();
  }

  async #keepRunning(): Promise<void> {
    while (this.#running) {
      await this.#running.exited;
      this.#running = undefined;
      while (!this.#isHeld && !this.#running) {
        this.#running = await spawnRedis(this.#server, this.#options).catch(() => undefined);
        if (!this.#running) await delay(200);
      }
      // It was held while it was starting.
      if (this.#isHeld) await this.#running?.stop();
      if (this.#isHeld) this.#running = undefined;
    }
  }
}
