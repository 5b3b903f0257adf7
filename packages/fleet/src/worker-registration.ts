import type { Logger, RedisSettings, Service } from "@flotilla/runtime";
import type { AgentDescriptor } from "@flotilla/workflow";
import { connect, type Connection, disconnect, isConnected } from "./connection.ts";
import { registerEveryMs, registerWorker, unregisterWorker } from "./registry.ts";
import { Scripts } from "./scripts.ts";

export interface RegistrationOptions {
  redis: RedisSettings;
  descriptor: AgentDescriptor;
  workerId: string;
  logger: Logger;
}

/** Tells the fleet which agent type this process runs, again and again while it lives. */
export class WorkerRegistration implements Service {
  readonly #options: RegistrationOptions;
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  #timer: NodeJS.Timeout | undefined;
  #saidAt = -Infinity;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#connection = connect(options.redis, "failFast", options.logger);
    this.#scripts = new Scripts(this.#connection);
  }

  async start(): Promise<void> {
    await isConnected(this.#connection);
    await this.#say();
    this.#timer = setInterval(() => {
      this.#say().catch((error: unknown) => this.#options.logger.warn({ err: error }, "not registered"));
    }, registerEveryMs);
  }

  async stop(): Promise<void> {
    if (this.#timer === undefined) return disconnect(this.#connection);
    clearInterval(this.#timer);
    this.#timer = undefined;
    const { descriptor, workerId } = this.#options;
    // The registration runs out by itself where Redis is away.
    await unregisterWorker(this.#scripts, descriptor, workerId).catch(() => undefined);
    disconnect(this.#connection);
  }

  /** Whether the fleet knows of this worker: it has reached Redis a moment ago. */
  check(): { ok: boolean; detail: string } {
    const agoMs = Math.round(performance.now() - this.#saidAt);
    return { ok: agoMs < 3 * registerEveryMs, detail: `registered ${agoMs} ms ago` };
  }

  async #say(): Promise<void> {
    await registerWorker(this.#scripts, this.#options.descriptor, this.#options.workerId);
    this.#saidAt = performance.now();
  }
}
