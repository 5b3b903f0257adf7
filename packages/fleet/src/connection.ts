import type { Logger, RedisSettings, SentinelSettings } from "@flotilla/runtime";
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";
import { watchPeers } from "./heartbeat.ts";

/** A connection to one Redis, or to a Redis Cluster. */
export type Connection = Redis | Cluster;

/**
 * How a connection behaves while Redis is away. `failFast`: a command rejects within 1 s and nothing is queued, for
 * whoever has a client waiting. `patient`: commands wait for a connection that is being made, and reject when it breaks
 * or after 5 s without an answer, for whoever tries again. `blocking`: for BullMQ workers, whose commands wait on purpose.
 */
export type Patience = "failFast" | "patient" | "blocking";

const reconnectWithinMs = 1000;

/** A connection that the driver gave up, as it may in the middle of a failover, is opened again after this, in ms. */
const reopenAfterMs = 100;

/** How long a peer may be silent before the connection is made anew, in ms; above what a command may take. */
const silentMs: Record<Patience, number> = { failFast: 1500, patient: 3000, blocking: 3000 };

/** The same for one that is blocked on purpose for 2 s; see `drainDelay` in job-reader.ts. */
const blockedMs = 4500;

/** Full back-off within a second: the default took 18 s after an outage of 20 s. */
function retryDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 5), reconnectWithinMs) * (0.75 + Math.random() / 4);
}

/** A node that was a master and is a replica now goes on talking: the connection is made anew, to whoever is master. */
function isDemoted(error: Error): boolean {
  // Redis 6 says it at the end of a message about the script.
  return /\bREADONLY\b|^UNBLOCKED/.test(error.message);
}

function optionsFor(patience: Patience): RedisOptions {
  const common: RedisOptions = {
    // Packets that are lost while a connection is opened are sent again after 1 and 3 s: then it is better to begin anew.
    connectTimeout: 3000,
    keepAlive: 5000,
    // A silent peer does not answer the end of a connection either.
    disconnectTimeout: 200,
    // Else ioredis waits a second where Redis is loading its data, however short that is.
    maxLoadingRetryTime: 100,
    retryStrategy: retryDelayMs,
  };
  // A command whose answer was lost may have run: our scripts are repeated on purpose, never by the driver. Without the
  // 0 it would forget such a command without a word, and only the `commandTimeout` would end the wait for it.
  const unrepeated: RedisOptions = {
    ...common,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    reconnectOnError: isDemoted,
  };
  switch (patience) {
    case "failFast":
      return { ...unrepeated, enableOfflineQueue: false, commandTimeout: 1000 };
    case "patient":
      return { ...unrepeated, commandTimeout: 5000 };
    case "blocking":
      // BullMQ awaits its own commands without a limit, so the driver has to send them again: without that, a worker
      // stood still for ever after Redis was restarted. What runs twice costs time and nothing else.
      return { ...common, maxRetriesPerRequest: null, reconnectOnError: (error) => (isDemoted(error) ? 2 : false) };
  }
}

const unwatch = new WeakMap<Connection, () => void>();

/** Opens a connection; it connects by itself, and again for as long as it takes. */
export function connect(settings: RedisSettings, patience: Patience, logger: Logger): Connection {
  const connection = open(settings, optionsFor(patience));
  // ioredis says so at every attempt to reconnect; without a listener it would write to the console.
  connection.on("error", (error: Error) => logger.debug({ err: error }, "redis connection"));
  if (connection instanceof Cluster) connection.on("+node", writeTogether);
  else writeTogether(connection);
  // The driver parks a connection for good where it could not even find out whom to connect to.
  connection.on("end", () => {
    if (!unwatch.has(connection)) return;
    logger.warn({ patience }, "a redis connection was given up, and is opened again");
    setTimeout(() => unwatch.has(connection) && void connection.connect().catch(() => undefined), reopenAfterMs);
  });
  const watches = [watchPeers(connection, silentMs[patience])];
  unwatch.set(connection, () => watches.forEach((end) => end()));
  if (patience === "blocking") onDuplicate(connection, (copy) => watches.push(watchPeers(copy, blockedMs)));
  return connection;
}

/** BullMQ makes the connection that it blocks on itself; one that hangs in its greetings it would wait for for ever. */
function onDuplicate(connection: Connection, watch: (copy: Connection) => void): void {
  const duplicate = connection.duplicate.bind(connection) as (...args: unknown[]) => Connection;
  const watched = (...args: unknown[]) => {
    const copy = duplicate(...args);
    watch(copy);
    return copy;
  };
  Object.assign(connection, { duplicate: watched });
}

function open(settings: RedisSettings, patient: RedisOptions): Connection {
  const { host, port, username, password, database, tls, cluster, sentinel } = settings;
  const options: RedisOptions = {
    ...patient,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
  };
  if (cluster) return new Cluster([{ host, port }], clusterOptions(options));
  if (sentinel) return new Redis({ ...options, db: database, ...sentinelOptions(sentinel, tls) });
  return new Redis({ ...options, host, port, db: database });
}

function sentinelOptions({ nodes, master, password }: SentinelSettings, tls: RedisSettings["tls"]): RedisOptions {
  return {
    sentinels: nodes.map((node) => ({ ...node })),
    name: master,
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
    sentinelRetryStrategy: retryDelayMs,
    sentinelCommandTimeout: 1000,
    // Sentinels say who is master now: a master that hangs and is deposed would be waited for otherwise.
    failoverDetector: true,
    sentinelReconnectStrategy: retryDelayMs,
  };
}

/**
 * Sends what is written in one turn of the event loop to Redis at once. ioredis makes a system call of each command,
 * on both ends of the connection: that was a third of what an agent and a fifth of what Redis spent on a workflow.
 */
function writeTogether(redis: Redis): void {
  redis.on("connect", () => {
    const { stream } = redis;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    let isCorked = false;
    stream.write = (...args: unknown[]) => {
      if (!isCorked) {
        isCorked = true;
        stream.cork();
        process.nextTick(() => {
          isCorked = false;
          stream.uncork();
        });
      }
      return write(...args);
    };
  });
}

function clusterOptions(redisOptions: RedisOptions): ClusterOptions {
  return {
    redisOptions,
    enableOfflineQueue: redisOptions.enableOfflineQueue ?? true,
    clusterRetryStrategy: retryDelayMs,
    slotsRefreshInterval: 2000,
  };
}

/**
 * Resolves once commands are taken; rejects when that is not so within `timeoutMs`, with the last error as the cause.
 * A Redis that is just being restarted refuses connections for a moment: a process that started then and ended at the
 * first refusal cost a whole start more, and in Kubernetes the back-off of a crash loop.
 */
export async function isConnected(connection: Connection, timeoutMs = 10_000): Promise<void> {
  if (connection.status === "ready") return;
  let cause: unknown;
  const remember = (error: unknown) => (cause = error);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`redis is not to be reached within ${timeoutMs} ms`, { cause })),
    timeoutMs,
  );
  connection.on("error", remember);
  connection.once("ready", resolve);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    connection.off("error", remember);
    connection.off("ready", resolve);
  }
}

/** Closes at once; what is under way rejects. */
export function disconnect(connection: Connection): void {
  unwatch.get(connection)?.();
  unwatch.delete(connection);
  connection.disconnect();
}
