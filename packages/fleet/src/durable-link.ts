import type { Logger, RedisSettings } from "@flotilla/runtime";
import { connect, disconnect, isConnected, type Patience } from "./connection.ts";
import { DurableWriter } from "./durable.ts";

/** The connection for what must outlive a failover, where the level of durability asks for one. */
export interface DurableLink {
  /** Undefined below `strict`: Redis itself sees to the rest. */
  writer: DurableWriter | undefined;
  isConnected(): Promise<void>;
  close(): void;
}

/** Opens it at the level `strict`, and does nothing at the others. */
export function openDurable(redis: RedisSettings, patience: Patience, logger: Logger): DurableLink {
  if (redis.durability.level !== "strict") {
    return { writer: undefined, isConnected: () => Promise.resolve(), close: () => undefined };
  }
  const connection = connect(redis, patience, logger);
  return {
    writer: new DurableWriter(connection, redis.durability),
    isConnected: () => isConnected(connection),
    close: () => disconnect(connection),
  };
}
