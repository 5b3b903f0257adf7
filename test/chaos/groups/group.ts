import type { Random } from "../random.ts";

/**
 * How a master goes: `lost` with its disk, as a machine that burns; or `deposed` while it lives and serves whoever has
 * not heard of it, so that what it took until then is overwritten when it hears of it itself.
 */
export type Going = "lost" | "deposed";

/** A failover that is over. */
export interface Failover {
  /** Who was master. */
  name: string;
  going: Going;
  /** Bytes of writes that the old master had taken and the new one never got. */
  forgottenBytes: number;
}

/** Masters with a replica each, and whoever makes the replica a master. */
export interface RedisGroup {
  /** How a process of the fleet finds them. */
  readonly environment: Record<string, string>;
  /**
   * Cuts the replication link of a master, lets `work` go on with the master alone, and has its replica take over.
   * Resolves when the old master is the replica of the new one and has what it has.
   */
  failOver(random: Random, going: Going, work: () => Promise<void>): Promise<Failover>;
  stop(): Promise<void>;
}
