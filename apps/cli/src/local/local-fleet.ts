import { rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { askRedis, FleetNumbers } from "@flotilla/fleet";
import { createLogger, redisSettings, redisSettingsOf } from "@flotilla/runtime";
import { Autoscaler } from "../scale/autoscaler.ts";
import type { HpaSpec } from "../scale/hpa.ts";
import { runningTasks } from "../scale/running-tasks.ts";
import type { CliConfig } from "../config.ts";
import { CliError, exitCode } from "../exit.ts";
import type { Terminal } from "../terminal.ts";
import { Crew, type FleetProcess } from "./crew.ts";
import type { DataDir } from "./data-dir.ts";
import type { FleetFile } from "./fleet-file.ts";
import { adoptKeys, type LocalKeys, localKeys } from "./keys.ts";
import { chooseRedis } from "./local-redis.ts";
import type { Lock } from "./lock.ts";
import { writePrivate } from "./private-file.ts";
import { RedisProcess } from "./redis-process.ts";
import { retireOrphanRedis } from "./retire-orphan.ts";
import type { ProcessObserver } from "./supervised.ts";
import { untilFree } from "./until-free.ts";

/** What a local fleet is to be. */
export interface LocalFleetOptions {
  dataDir: DataDir;
  /** Of `dataDir`; released when the fleet has stopped, or did not start. */
  lock: Lock;
  /** Of the API; 0 picks one. */
  port: number;
  /** Agent type → processes. */
  agents: ReadonlyMap<string, number>;
  /** By which the number of agent processes follows their work; the number stays as it is without. */
  autoscaler?: HpaSpec;
  /** Folders that agents may read. */
  docsRoots: readonly string[];
  probe: boolean;
  config: CliConfig;
  terminal: Terminal;
  /** Told of starts and exits, from the first process on. */
  observer: ProcessObserver;
}

/** A fleet that is up. */
export interface LocalFleet {
  readonly url: string;
  readonly keys: LocalKeys;
  readonly redis: FleetFile["redis"];
  readonly processes: readonly FleetProcess[];
  /** Agents first, Redis last, within 15 s. */
  stop(): Promise<void>;
}

/**
 * Starts Redis if needed, the API, the supervisor and the agents, each in a process of its own, and keeps them running.
 * Resolves when all are ready. An interrupt while they start stops what has started, and rejects.
 */
export async function startLocalFleet(options: LocalFleetOptions): Promise<LocalFleet> {
  const { dataDir, lock, port, terminal } = options;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => lock.release());
  await retireOrphanRedis(dataDir);
  await expectFreePort(port);
  stack.defer(() => rm(dataDir.fleetFile, { force: true }));

  const crew = new Crew({ logs: dataDir.logs, observer: options.observer, terminal });
  for (const role of ["redis", "oci", "api", "supervisor", "agent"] as const) stack.defer(() => crew.stop(role));
  const keys = await localKeys(dataDir);
  const redis = await startRedis(options, crew, keys);
  const oci = await startOci(options, crew);
  const environment = { ...childEnvironment(options, redis), ...oci };
  const agents = [...options.agents].flatMap(([agentType, count]) => Array.from({ length: count }, () => agentType));
  const [api] = await Promise.all([
    crew.startNode({ role: "api" }, { ...environment, PORT: String(port) }),
    crew.startNode({ role: "supervisor" }, environment),
    ...agents.map((type) => crew.startNode({ role: "agent", agentType: type }, { ...environment, AGENT_TYPE: type })),
  ]);
  if (api.url === undefined) throw new Error("the api was ready without a url");

  if (options.autoscaler) stack.use(await startAutoscaler(options, options.autoscaler, crew, redis, environment));

  const docsRoots = [...options.docsRoots];
  const file: FleetFile = { pid: process.pid, url: api.url, ...keys, redis, oci, docsRoots };
  await writePrivate(dataDir.fleetFile, file);
  const running = stack.move();
  return { url: api.url, keys, redis, processes: crew.processes(), stop: () => running.disposeAsync() };
}

async function startAutoscaler(
  { agents, config, terminal }: LocalFleetOptions,
  spec: HpaSpec,
  crew: Crew,
  redis: FleetFile["redis"],
  environment: Record<string, string | undefined>,
): Promise<AsyncDisposable> {
  const settings = redis.kind === "url" ? redisSettings(config) : redisSettingsOf(redis.url);
  const numbers = new FleetNumbers({ redis: settings, logger: createLogger({ role: "cli", level: "silent" }) });
  await numbers.start();
  const note = (line: string) => {
    if (!terminal.json) terminal.note(line);
  };
  const autoscaler = new Autoscaler({
    spec,
    // A type that has none is off, as it is in a cluster.
    floors: new Map([...agents].filter(([, count]) => count > 0)),
    loads: () => numbers.loads(),
    processes: {
      count: (agentType) => crew.count(agentType),
      add: (agentType, count) => {
        for (let n = 0; n < count; n++) {
          const name = { role: "agent", agentType } as const;
          crew.startNode(name, { ...environment, AGENT_TYPE: agentType }).catch((error: unknown) => {
            if (!terminal.interrupted.aborted) note(error instanceof Error ? error.message : String(error));
          });
        }
      },
      remove: (agentType, count) => crew.retire(agentType, count, runningTasks),
    },
    note,
  });
  autoscaler.start();
  return {
    async [Symbol.asyncDispose]() {
      autoscaler.stop();
      await numbers.stop();
    },
  };
}

async function expectFreePort(port: number): Promise<void> {
  if (port === 0 || (await untilFree(port))) return;
  const message = `port ${port} is taken: end what listens there, or give another with --port (0 picks one)`;
  throw new CliError(exitCode.badConfiguration, message);
}

async function startRedis(options: LocalFleetOptions, crew: Crew, keys: LocalKeys): Promise<FleetFile["redis"]> {
  const { config, dataDir, terminal } = options;
  const choice = await chooseRedis(config, terminal.note);
  if (choice.kind === "url") {
    await adoptKeys(redisSettings(config), keys);
    const masters = await askRedis(redisSettings(config), createLogger({ role: "cli", level: "silent" }));
    return { kind: "url", url: choice.url, durable: masters.every(({ isDurable }) => isDurable === true) };
  }
  const appendfsync = config.REDIS_DURABILITY === "fast" ? "everysec" : "always";
  const redis = new RedisProcess(choice, dataDir.redisData, appendfsync);
  await crew.start(
    {
      name: { role: "redis" },
      launch: () => redis.launch(),
      // The one in memory comes back empty.
      onReady: () => adoptKeys(redisSettingsOf(redis.url), keys),
    },
    dataDir.redisLog,
  );
  return { kind: choice.kind, url: redis.url, durable: redis.durable };
}

/** The local server, where nobody named another one; and what others need to know to use it. */
async function startOci({ config, dataDir }: LocalFleetOptions, crew: Crew): Promise<Record<string, string>> {
  if (config.OCI_AUTH !== "local" || config.environment.OCI_CONFIG_FILE) return {};
  const main = new URL(import.meta.resolve("@flotilla/oci/local-main"));
  const environment = { ...config.environment, FLOTILLA_DATA_DIR: dataDir.path, HOST: "127.0.0.1", PORT: "0" };
  const { url } = await crew.startNode({ role: "oci" }, environment, main);
  if (url === undefined) throw new Error("the local server was ready without a url");
  return {
    OCI_AUTH: "local",
    OCI_CONFIG_FILE: join(dataDir.path, "oci", "config"),
    OCI_NAMESPACE: "local",
    OCI_COMPARTMENT_ID: "local",
    OCI_OBJECT_STORAGE_ENDPOINT: url,
    OCI_STREAMING_ENDPOINT: url,
    OCI_MONITORING_ENDPOINT: url,
    OCI_LOGGING_ENDPOINT: url,
  };
}

function childEnvironment(
  { config, dataDir, docsRoots, probe }: LocalFleetOptions,
  redis: FleetFile["redis"],
): Record<string, string | undefined> {
  // A private Redis has no password and no TLS, whatever variables of another one are set.
  const inherited = Object.entries(config.environment).filter(
    ([name]) => redis.kind === "url" || !name.startsWith("REDIS_") || name === "REDIS_DURABILITY",
  );
  return {
    ...Object.fromEntries(inherited),
    ...(redis.kind !== "url" && { REDIS_URL: redis.url }),
    FLOTILLA_DATA_DIR: dataDir.path,
    FLOTILLA_DOCS_ROOTS: docsRoots.join(delimiter),
    FLOTILLA_PROBE: probe ? "1" : "0",
    FLOTILLA_PROBE_EFFECTS: config.environment.FLOTILLA_PROBE_EFFECTS ?? dataDir.probeEffects,
    METRICS_PORT: "0",
  };
}
