import { setTimeout as sleep } from "node:timers/promises";

/** What a process is for; `agentType` with the role `agent` only. */
export interface ProcessName {
  role: "redis" | "oci" | "api" | "supervisor" | "agent";
  agentType?: string;
}

/** How a process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process that was launched. */
export interface Running {
  readonly pid: number;
  /** Resolves when it has started its work; never, when it ends before. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
}

/** Told what happens to the processes of a fleet. */
export interface ProcessObserver {
  started(name: ProcessName, pid: number): void;
  exited(name: ProcessName, pid: number, exit: Exit): void;
}

/** A process to keep running. */
export interface SupervisedOptions {
  name: ProcessName;
  launch: () => Promise<Running>;
  /** Done whenever it is ready, the first time before `start` resolves. */
  onReady?: () => Promise<void>;
  observer: ProcessObserver;
}

const deathWindowMs = 10_000;
const deathsBeforeBackOff = 5;
const backOffMs = 5000;

/** How long to wait before the next launch, after deaths at those times: at once, until they come too often. */
export function restartDelayMs(deaths: readonly number[], now: number): number {
  const recent = deaths.filter((at) => now - at < deathWindowMs).length;
  return recent < deathsBeforeBackOff ? 0 : backOffMs;
}

/** The process ended before it was ever ready, for good as it seems. */
export class LaunchError extends Error {
  readonly processName: ProcessName;
  readonly exit: Exit;

  constructor(processName: ProcessName, exit: Exit, options?: ErrorOptions) {
    super("a process does not start", options);
    this.name = "LaunchError";
    this.processName = processName;
    this.exit = exit;
  }
}

const badConfiguration = 78;

/** Keeps one process running: whenever it ends, it is launched again, until `stop`. */
export class Supervised {
  readonly name: ProcessName;
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  readonly #firstReady = Promise.withResolvers<void>();
  #isReady = false;
  #running: Running | undefined;
  /** Why the latest process was not made ready. */
  #refusal: unknown;
  #ended: Promise<void> | undefined;

  constructor(options: SupervisedOptions) {
    this.name = options.name;
    this.#options = options;
    // Whoever stops a process that is starting does not wait for it to start.
    this.#firstReady.promise.catch(() => {});
  }

  /** The process that runs now; undefined between two of them. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Resolves when the process is ready. Rejects with `LaunchError` when it keeps ending before that. */
  async start(): Promise<void> {
    this.#ended ??= this.#keepRunning();
    await this.#firstReady.promise;
  }

  /** Asks the process to end, kills it when it has not by `deadline` (aborted), and resolves when it has. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.#running?.kill("SIGTERM");
    const kill = () => this.#running?.kill("SIGKILL");
    if (deadline.aborted) kill();
    deadline.addEventListener("abort", kill);
    await this.#ended;
    deadline.removeEventListener("abort", kill);
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    const deaths: number[] = [];
    while (!signal.aborted) {
      const exit = await this.#runOnce();
      if (signal.aborted) break;
      deaths.push(Date.now());
      const isHopeless = exit.code === badConfiguration || deaths.length >= deathsBeforeBackOff;
      if (!this.#isReady && isHopeless) this.#giveUp(exit);
      const delayMs = restartDelayMs(deaths, Date.now());
      if (deaths.length > deathsBeforeBackOff) deaths.shift();
      // An abort is the only way for this to reject, and the loop asks for it.
      await sleep(delayMs, undefined, { signal }).catch(() => {});
    }
    this.#firstReady.reject(new LaunchError(this.name, { code: null, signal: null }));
  }

  #giveUp(exit: Exit & { cause?: unknown }): void {
    this.#firstReady.reject(new LaunchError(this.name, exit, { cause: exit.cause ?? this.#refusal }));
    this.#stopping.abort();
  }

  async #runOnce(): Promise<Exit & { cause?: unknown }> {
    const { name, launch, observer } = this.#options;
    let running: Running;
    try {
      running = await launch();
    } catch (cause) {
      return { code: null, signal: null, cause };
    }
    this.#running = running;
    observer.started(name, running.pid);
    // `stop` may have come while the process was being launched.
    if (this.#stopping.signal.aborted) running.kill("SIGTERM");
    void this.#welcome(running);
    const exit = await running.exited;
    this.#running = undefined;
    observer.exited(name, running.pid, exit);
    return exit;
  }

  async #welcome(running: Running): Promise<void> {
    await running.ready;
    try {
      await this.#options.onReady?.();
    } catch (error) {
      // A process that is not made ready is of no use: it starts anew, and then it is tried again.
      this.#refusal = error;
      running.kill("SIGTERM");
      return;
    }
    this.#isReady = true;
    this.#firstReady.resolve();
  }
}
