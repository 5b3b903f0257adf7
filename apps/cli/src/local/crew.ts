import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Terminal } from "../terminal.ts";
import { explainLaunchError } from "./launch-failure.ts";
import { NodeProcess } from "./node-process.ts";
import { type ProcessName, type ProcessObserver, Supervised, type SupervisedOptions } from "./supervised.ts";

/** One process of a fleet that is up. */
export interface FleetProcess extends ProcessName {
  pid: number;
  metricsUrl?: string;
}

/** What a crew needs to know beside its processes. */
export interface CrewOptions {
  /** Folder of the log files. */
  logs: string;
  observer: ProcessObserver;
  terminal: Pick<Terminal, "interrupted" | "hurried">;
}

/** From the start of the stop: when what has not ended is killed. Redis then takes a second at most, which makes 15. */
const killAfterMs = { agent: 10_500, supervisor: 12_000, api: 13_000, oci: 13_250, redis: 13_500 } as const;

const apps = new URL("../../../", import.meta.url);

/** The supervised processes of one fleet. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #members: { supervised: Supervised; node?: NodeProcess }[] = [];
  #stoppingSince: number | undefined;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Keeps a process running, and resolves when it is ready. An interrupt rejects; what started is left to `stop`. */
  async start(part: Omit<SupervisedOptions, "observer">, logFile: string, node?: NodeProcess): Promise<void> {
    const { observer, terminal } = this.#options;
    terminal.interrupted.throwIfAborted();
    const supervised = new Supervised({ ...part, observer });
    this.#members.push({ supervised, ...(node && { node }) });
    try {
      await untilAborted(supervised.start(), terminal.interrupted);
    } catch (error) {
      throw await explainLaunchError(error, logFile);
    }
  }

  /** As `start`, for a program of ours; for the `main.ts` of an app unless another one is named. */
  async startNode(
    name: ProcessName,
    environment: Record<string, string | undefined>,
    main = new URL(`${name.role}/src/main.ts`, apps),
  ): Promise<NodeProcess> {
    const logFile = join(this.#options.logs, this.#logName(name));
    // One generation is kept: a fleet that is started every day must not fill the disk.
    await rename(logFile, `${logFile}.old`).catch(() => {});
    const node = new NodeProcess({ main, environment, logFile });
    await this.start({ name, launch: () => node.launch() }, logFile, node);
    return node;
  }

  /** Ends the processes of that role, together, by their time at the latest. */
  async stop(role: ProcessName["role"]): Promise<void> {
    this.#stoppingSince ??= Date.now();
    const left = killAfterMs[role] - (Date.now() - this.#stoppingSince);
    const deadline = AbortSignal.any([AbortSignal.timeout(Math.max(0, left)), this.#options.terminal.hurried]);
    const ending = this.#members.filter(({ supervised }) => supervised.name.role === role);
    await Promise.all(ending.map(({ supervised }) => supervised.stop(deadline)));
  }

  /** Those that run at this moment. */
  processes(): FleetProcess[] {
    return this.#members.flatMap(({ supervised, node }) => {
      const { pid, name } = supervised;
      const metricsUrl = node?.metricsUrl;
      return pid === undefined ? [] : [{ ...name, pid, ...(metricsUrl !== undefined && { metricsUrl }) }];
    });
  }

  #logName({ role, agentType }: ProcessName): string {
    if (agentType === undefined) return `${role}.log`;
    const before = this.#members.filter(({ supervised }) => supervised.name.agentType === agentType).length;
    return `${role}-${agentType}${before === 0 ? "" : `-${before + 1}`}.log`;
  }
}

async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
