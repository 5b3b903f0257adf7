import { fork, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "@flotilla/runtime/configuration";
import { z } from "zod";
import type { Exit, Running } from "./supervised.ts";

/** A Node process of the fleet. */
export interface NodeProcessOptions {
  /** Its `main.ts`. */
  main: URL;
  environment: Readonly<Record<string, string | undefined>>;
  logFile: string;
}

/** What a process says over IPC once it has started; see `runProcess` in the runtime package. */
const ReadyMessage = z.object({
  kind: z.literal("ready"),
  url: z.url().exactOptional(),
  metricsUrl: z.url().exactOptional(),
});

/**
 * Launches one `main.ts` again and again under the Node that runs us, in its place: ports that it picked the first
 * time are its ports ever after, so that the URL of the API and of its metrics outlive it.
 */
export class NodeProcess {
  readonly #options: NodeProcessOptions;
  #url: string | undefined;
  #metricsUrl: string | undefined;

  constructor(options: NodeProcessOptions) {
    this.#options = options;
  }

  /** Of its HTTP API, if it has one and was ready once. */
  get url(): string | undefined {
    return this.#url;
  }

  get metricsUrl(): string | undefined {
    return this.#metricsUrl;
  }

  async launch(): Promise<Running> {
    await using log = await open(this.#options.logFile, "a");
    // Straight into the file: lines go on when this process is killed, and cost it nothing.
    const stdio: StdioOptions = ["ignore", log.fd, log.fd, "ipc"];
    const child = fork(fileURLToPath(this.#options.main), [], {
      env: { ...this.#options.environment, ...this.#ports() },
      execArgv: [...nodeFlags],
      stdio,
      // A group of its own: Ctrl-C is for the parent alone, which stops its children in order.
      detached: true,
    });
    await once(child, "spawn");
    if (child.pid === undefined) throw new Error("a process without a pid was spawned");
    const exited = new Promise<Exit>((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
    return { pid: child.pid, ready: this.#untilReady(child), exited, kill: (signal) => void child.kill(signal) };
  }

  #ports(): Record<string, string> {
    return {
      ...(this.#url !== undefined && { PORT: new URL(this.#url).port }),
      ...(this.#metricsUrl !== undefined && { METRICS_PORT: new URL(this.#metricsUrl).port }),
    };
  }

  #untilReady(child: NodeJS.EventEmitter): Promise<void> {
    return new Promise((resolve) => {
      child.on("message", (message: unknown) => {
        const ready = ReadyMessage.safeParse(message).data;
        if (!ready) return;
        this.#url = ready.url;
        this.#metricsUrl = ready.metricsUrl;
        resolve();
      });
    });
  }
}
