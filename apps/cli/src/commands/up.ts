import { once } from "node:events";
import { Option } from "commander";
import { z } from "zod";
import type { CommandContext, CommandHost } from "../action.ts";
import { addDataDirOption, addJsonOption } from "../connect.ts";
import { CliError, type ExitCode, exitCode, InterruptedError } from "../exit.ts";
import { agentCounts } from "../local/agent-counts.ts";
import { type DataDir, dataDirAt } from "../local/data-dir.ts";
import { claimDataDir } from "../local/fleet-file.ts";
import type { LocalFleet } from "../local/local-fleet.ts";
import { isGraceful, nameOf } from "../local/process-words.ts";
import type { ProcessObserver } from "../local/supervised.ts";
import { documentsFolder } from "../request.ts";
import type { Terminal } from "../terminal.ts";

const portAdvice = "--port takes a number from 0 to 65535, where 0 picks a free one";

const UpOptions = z.object({
  port: z.coerce.number(portAdvice).int(portAdvice).min(0, portAdvice).max(65_535, portAdvice),
  dataDir: z.string().exactOptional(),
  agents: z.string().exactOptional(),
  docs: z.string().exactOptional(),
  probe: z.boolean().default(false),
  autoscale: z.boolean(),
  hpa: z.string().exactOptional(),
  json: z.boolean().default(false),
});
type UpOptions = z.output<typeof UpOptions>;

/** Adds `up`: a local fleet until it is interrupted. */
export function addUp({ parent, act }: CommandHost): void {
  const command = parent
    .command("up")
    .description("run a local fleet: Redis if needed, API, supervisor and agents, until Ctrl-C")
    .addOption(new Option("--port <n>", "port of the API; 0 picks one").default("8080"))
    .addOption(new Option("--agents <counts>", "processes by agent type, as type=N,…"))
    .addOption(new Option("--docs <dir>", "documents that the agents may read (default: FLOTILLA_DOCS_ROOTS)"))
    .addOption(new Option("--probe", "run the probe agent too, which is for tests"))
    .addOption(new Option("--no-autoscale", "keep the number of agent processes as it is"))
    .addOption(new Option("--hpa <file>", "autoscaler to scale agents by (default: that of kubernetes/)"));
  act(addJsonOption(addDataDirOption(command)), UpOptions, up);
}

async function up({ options, config, terminal }: CommandContext<UpOptions>): Promise<ExitCode> {
  const probe = options.probe || config.FLOTILLA_PROBE;
  if (probe && config.NODE_ENV === "production") {
    throw new CliError(exitCode.badConfiguration, "the probe agent is refused in production: leave out --probe");
  }
  const agents = agentCounts(options.agents, probe);
  const { readHpa } = await import("../scale/hpa-object.ts");
  const autoscaler = options.autoscale ? await readHpa(options.hpa) : undefined;
  const docsRoots = options.docs === undefined ? config.FLOTILLA_DOCS_ROOTS : [await documentsFolder(options.docs)];
  const dataDir = dataDirAt(options.dataDir ?? config.FLOTILLA_DATA_DIR);
  const lock = await claimDataDir(dataDir);
  if (!lock) {
    const message = `a fleet is up on ${dataDir.path} already: use it, end it, or name another folder with --data-dir`;
    throw new CliError(exitCode.badConfiguration, message);
  }

  const reporter = new Reporter(terminal);
  const { startLocalFleet } = await import("../local/local-fleet.ts");
  let fleet: LocalFleet;
  try {
    fleet = await startLocalFleet({
      dataDir,
      lock,
      port: options.port,
      agents,
      ...(autoscaler && { autoscaler }),
      docsRoots,
      probe,
      config,
      terminal,
      observer: reporter,
    });
  } catch (error) {
    // Asked to end while it was starting, and it did.
    if (error instanceof InterruptedError) return exitCode.done;
    throw error;
  }
  terminal.outliveReader();
  reporter.ready(fleet, dataDir);
  if (!terminal.interrupted.aborted) await once(terminal.interrupted, "abort");
  reporter.stopping();
  await fleet.stop();
  return exitCode.done;
}

/** Tells what happens to the fleet: to a program from the ready line on, to a person only what is out of the ordinary. */
class Reporter implements ProcessObserver {
  readonly #terminal: Terminal;
  #phase: "starting" | "up" | "stopping" = "starting";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  ready(fleet: LocalFleet, dataDir: DataDir): void {
    this.#phase = "up";
    const { url, keys, redis, processes } = fleet;
    if (this.#terminal.json) {
      this.#terminal.emit({ event: "ready", url, ...keys, redis, dataDir: dataDir.path, processes });
      return;
    }
    for (const line of describeFleet(fleet, dataDir)) this.#terminal.say(line);
  }

  stopping(): void {
    this.#phase = "stopping";
    if (!this.#terminal.json) this.#terminal.note("stopping; once more to hurry");
  }

  started(name: Parameters<ProcessObserver["started"]>[0], pid: number): void {
    if (this.#phase === "starting") return;
    if (this.#terminal.json) this.#terminal.emit({ event: "start", ...name, pid, at: new Date().toISOString() });
    else this.#terminal.note(`${nameOf(name)} runs (pid ${pid})`);
  }

  exited(...[name, pid, exit]: Parameters<ProcessObserver["exited"]>): void {
    if (this.#phase === "starting") return;
    if (this.#terminal.json) {
      this.#terminal.emit({ event: "exit", ...name, pid, ...exit, at: new Date().toISOString() });
    } else if (this.#phase === "up" || !isGraceful(exit)) {
      const how = isGraceful(exit) ? "ended" : "died";
      this.#terminal.note(`${nameOf(name)} ${how} (pid ${pid}, ${exit.signal ?? `code ${exit.code}`})`);
    }
  }
}

function describeFleet({ url, keys, redis, processes }: LocalFleet, dataDir: DataDir): string[] {
  const durability = redis.durable ? "" : ", not durable";
  return [
    `the fleet is up at ${url}`,
    "",
    ...processes.map((process) => `  ${nameOf(process).padEnd(18)} pid ${process.pid}`),
    ...(redis.kind === "url" ? [`  redis              ${new URL(redis.url).host}`] : []),
    "",
    `  key        ${keys.apiKey}`,
    `  operator   ${keys.operatorKey}`,
    `  redis      ${redis.kind}${durability}`,
    `  data       ${dataDir.path}`,
    `  logs       ${dataDir.logs}`,
    "",
    'ask it with: npx flotilla run "what is this about?" --docs docs',
  ];
}
