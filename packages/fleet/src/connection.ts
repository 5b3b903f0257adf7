import type { Logger, RedisSettings } from "@flotilla/runtime";
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";

/** A connection to one Redis, or to a Redis Cluster. */
export type Connection = Redis | Cluster;

/**
 * How a connection behaves while Redis is away. `failFast`: a command rejects within 1 s and nothing is queued, for
 * whoever has a client waiting. `patient`: commands wait for Redis to return, and reject after 5 s without an answer,
 * for whoever tries again. `blocking`: for BullMQ workers, whose commands wait on purpose.
 */
export type Patience = "failFast" | "patient" | "blocking";

const reconnectWithinMs = 1000;

function optionsFor(patience: Patience): RedisOptions {
  const common: RedisOptions = {
    connectTimeout: 5000,
    keepAlive: 5000,
    // Else ioredis waits a second where Redis is loading its data, however short that is.
    maxLoadingRetryTime: 100,
    // The default back-off took 18 s after an outage of 20 s.
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), reconnectWithinMs) * (0.75 + Math.random() / 4),
  };
  // A command whose answer was lost may have run: our scripts are repeated on purpose, never by the driver. It forgets
  // such a command without a word, so that only a `commandTimeout` ends the wait for it.
  const unrepeated = { ...common, autoResendUnfulfilledCommands: false };
  switch (patience) {
    case "failFast":
      return { ...unrepeated, enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 1000 };
    case "patient":
      return { ...unrepeated, maxRetriesPerRequest: null, commandTimeout: 5000 };
    case "blocking":
      // BullMQ awaits its own commands without a limit, so the driver has to send them again: without that, a worker
      // stood still for ever after Redis was restarted. What runs twice costs time and nothing else.
      // A peer that stays connected and silent gives no error: only the time without an answer tells. It is above
      // BullMQ's `drainDelay` of 5 s, for which its blocking read waits on purpose.
      return { ...common, maxRetriesPerRequest: null, socketTimeout: 10_000 };
  }
}

/** Opens a connection; it connects by itself, and again for as long as it takes. */
export function connect(settings: RedisSettings, patience: Patience, logger: Logger): Connection {
  const { host, port, username, password, database, tls, cluster } = settings;
  const options: RedisOptions = {
    ...optionsFor(patience),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
  };
  const connection = cluster
    ? new Cluster([{ host, port }], clusterOptions(options))
    : new Redis({ ...options, host, port, db: database });
  // ioredis says so at every attempt to reconnect; without a listener it would write to the console.
  connection.on("error", (error: Error) => logger.debug({ err: error }, "redis connection"));
  if (connection instanceof Cluster) connection.on("+node", writeTogether);
  else writeTogether(connection);
  return connection;
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
    clusterRetryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), reconnectWithinMs),
    slotsRefreshInterval: 5000,
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
  connection.disconnect();
}
