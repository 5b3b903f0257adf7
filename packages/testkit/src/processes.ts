import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** How to start one of our mains. */
export interface ProcessOptions {
  /** Path of the `main.ts`. */
  main: string;
  args?: string[];
  /** Flags of Node itself. */
  nodeFlags?: readonly string[];
  /** Added to the environment of the test. */
  env?: Record<string, string>;
  readyTimeoutMs?: number;
  /** Told of it as soon as it is there, long before it is ready: for whoever kills it while it starts. */
  onSpawn?: (pid: number) => void;
}

/** What a main sends to its parent once it serves. */
export interface ReadyMessage {
  kind: "ready";
  [detail: string]: unknown;
}

/** How a process ended. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process of its own, ready to serve. */
export interface TestProcess {
  readonly pid: number;
  readonly ready: ReadyMessage;
  /** Resolves when it has ended, by whatever. */
  readonly exited: Promise<ProcessExit>;
  /** The last 8 KB of what it wrote to stdout and stderr, for failure messages. */
  output(): string;
  /** Talks to it over IPC, beside its `ready`. */
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Sends a signal, SIGTERM by default, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<ProcessExit>;
}

const outputBytes = 8192;

/** Starts a main as a child and waits for its `{kind: "ready"}`; throws with its output if it ends or is silent. */
export async function startProcess(options: ProcessOptions): Promise<TestProcess> {
  const { main, args = [], nodeFlags = [], env = {}, readyTimeoutMs = 15_000, onSpawn } = options;
  const child = fork(main, args, { env: { ...process.env, ...env }, execArgv: [...nodeFlags], silent: true });
  if (child.pid !== undefined) onSpawn?.(child.pid);
  const output = tailOf(child);
  const exited = new Promise<ProcessExit>((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  try {
    const ready = await firstReady(child, exited, AbortSignal.timeout(readyTimeoutMs));
    const { pid } = child;
    if (pid === undefined) throw new Error("a process without a pid");
    return {
      pid,
      ready,
      exited,
      output,
      send: (message) => void child.send(message),
      onMessage: (listener) => void child.on("message", listener),
      stop(signal = "SIGTERM") {
        child.kill(signal);
        return exited;
      },
    };
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`${main} did not become ready:\n${output()}`, { cause: error });
  }
}

async function firstReady(
  child: ChildProcess,
  exited: Promise<ProcessExit>,
  signal: AbortSignal,
): Promise<ReadyMessage> {
  const ready = new Promise<ReadyMessage>((resolve) =>
    child.on("message", (message) => {
      if (isReady(message)) resolve(message);
    }),
  );
  return Promise.race([
    ready,
    exited.then((exit) => Promise.reject(new Error(`it ended with ${exit.signal ?? exit.code}`))),
    once(signal, "abort").then(() => Promise.reject(new Error("it was silent for too long"))),
  ]);
}

function isReady(message: unknown): message is ReadyMessage {
  return typeof message === "object" && message !== null && "kind" in message && message.kind === "ready";
}

function tailOf(child: ChildProcess): () => string {
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-outputBytes);
    });
  }
  return () => tail;
}
