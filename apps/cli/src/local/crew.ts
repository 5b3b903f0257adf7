import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Terminal } from "../terminal.ts";
import { explainLaunchError } from "./launch-failure.ts";
import { NodeProcess } from "./node-process.ts";
import {
  LaunchError,
  type ProcessName,
  type ProcessObserver,
  Supervised,
  type SupervisedOptions,
} from "./supervised.ts";

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

interface Member {
  supervised: Supervised;
  node?: NodeProcess;
  logFile: string;
  /** It was asked to end, and others to do its work. */
  isRetiring?: true;
}

/** The supervised processes of one fleet. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #members: Member[] = [];
  #stoppingSince: number | undefined;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Keeps a process running, and resolves when it is ready. An interrupt rejects; what started is left to `stop`. */
  async start(part: Omit<SupervisedOptions, "observer">, logFile: string, node?: NodeProcess): Promise<void> {
    const { observer, terminal } = this.#options;
    terminal.interrupted.throwIfAborted();
    const supervised = new Supervised({ ...part, observer });
    const member: Member = { supervised, logFile, ...(node && { node }) };
    this.#members.push(member);
    try {
      await untilAborted(supervised.start(), terminal.interrupted);
    } catch (error) {
      if (error instanceof LaunchError) this.#forget(member);
      throw await explainLaunchError(error, logFile);
    }
  }

  /** As `start`, for a program of ours; for the `main.ts` of an app unless another one is named. */
  async startNode(
    name: ProcessName,
    environment: Record<string, string | undefined>,
    main = new URL(`${name.role}/src/main.ts`, apps),
  ): Promise<NodeProcess> {
    const logFile = this.#logFile(name);
    const node = new NodeProcess({ main, environment, logFile });
    // One generation is kept: a fleet that is started every day must not fill the disk.
    const keptOld = rename(logFile, `${logFile}.old`).catch(() => {});
    const launch = async () => {
      await keptOld;
      return node.launch();
    };
    await this.start({ name, launch }, logFile, node);
    return node;
  }

  /** Processes of an agent type that run or start, without those that retire. */
  count(agentType: string): number {
    return this.#active(agentType).length;
  }

  /**
   * Ends so many processes of an agent type, those with the fewest tasks first, and resolves when they are asked to: they
   * finish or hand back what they have. `tasksOf` tells how many that are.
   */
  async retire(agentType: string, count: number, tasksOf: (metricsUrl: string) => Promise<number>): Promise<void> {
    const members = await Promise.all(
      this.#active(agentType).map(async (member) => {
        // One that is not ready, or says nothing, has no work that anybody would miss.
        const url = member.node?.metricsUrl;
        return { member, tasks: url === undefined ? 0 : await tasksOf(url).catch(() => 0) };
      }),
    );
    // Of those with as many tasks the youngest: it has the least in its caches.
    const chosen = members.toReversed().toSorted((a, b) => a.tasks - b.tasks);
    for (const { member } of chosen.slice(0, count)) {
      member.isRetiring = true;
      void member.supervised.stop(AbortSignal.timeout(killAfterMs.agent)).then(() => this.#forget(member));
    }
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

  #active(agentType: string): Member[] {
    return this.#members.filter(({ supervised, isRetiring }) => supervised.name.agentType === agentType && !isRetiring);
  }

  #forget(member: Member): void {
    const place = this.#members.indexOf(member);
    if (place >= 0) this.#members.splice(place, 1);
  }

  /** The first that no process has now. */
  #logFile({ role, agentType }: ProcessName): string {
    const name = agentType === undefined ? role : `${role}-${agentType}`;
    for (let number = 1; ; number++) {
      const file = join(this.#options.logs, `${name}${number === 1 ? "" : `-${number}`}.log`);
      if (!this.#members.some(({ logFile }) => logFile === file)) return file;
    }
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
