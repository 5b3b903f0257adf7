import { setTimeout as delay } from "node:timers/promises";
import { startProcess, type TestProcess } from "@flotilla/testkit/processes";

/** What a process of the fleet is for. */
export type Role = "api" | "supervisor" | "agent" | "redis";

/** What faults do to a process that is kept running. */
export interface Victim {
  readonly role: Role;
  /** Tells it from others of its role. */
  readonly name: string;
  /** Of the process that runs now, or is starting; undefined between two of them. */
  readonly pid: number | undefined;
}

export interface MemberOptions {
  role: Role;
  name: string;
  main: string;
  env: Record<string, string>;
  /** How long it stays away when it has ended, in ms. */
  restartAfterMs?: number;
  /** Told of each end that nobody of the fleet asked for. */
  onEnd?: (output: string) => void;
}

/** A process that could not be started is tried again after this, in ms. */
const retryMs = 250;

/** Long enough for a process that starts beside many others on a small machine, and waits for Redis. */
const readyTimeoutMs = 60_000;

/** One process of a fleet, started again whenever it ends, as Kubernetes would. */
export class Member implements Victim {
  readonly role: Role;
  readonly name: string;
  readonly #options: MemberOptions;
  #process: TestProcess | undefined;
  #pid: number | undefined;
  #isStopping = false;
  #loop: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    this.role = options.role;
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  /** What it said when it was ready: addresses, mostly. */
  get ready(): TestProcess["ready"] | undefined {
    return this.#process?.ready;
  }

  /** Resolves when it is ready for the first time; rejects with what it wrote when it is not. */
  async start(): Promise<void> {
    this.#process = await this.#launch();
    this.#loop = this.#keepRunning();
  }

  /** SIGKILL, so that one that is stopped ends too; it is not started again. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#pid !== undefined) process.kill(this.#pid, "SIGKILL");
    await this.#loop;
  }

  async #launch(): Promise<TestProcess> {
    const { main, env } = this.#options;
    const onSpawn = (pid: number) => {
      this.#pid = pid;
      // `stop` came while nothing ran.
      if (this.#isStopping) process.kill(pid, "SIGKILL");
    };
    try {
      return await startProcess({ main, env, readyTimeoutMs, onSpawn });
    } catch (error) {
      // It has ended, or has just been killed.
      this.#pid = undefined;
      throw error;
    }
  }

  async #keepRunning(): Promise<void> {
    for (;;) {
      const running = this.#process;
      if (running) {
        await running.exited;
        this.#process = undefined;
        this.#pid = undefined;
        if (!this.#isStopping) this.#options.onEnd?.(running.output());
      }
      if (this.#isStopping) return;
      await delay(running ? (this.#options.restartAfterMs ?? 0) : retryMs);
      if (this.#isStopping) return;
      this.#process = await this.#launch().catch(() => undefined);
    }
  }
}
