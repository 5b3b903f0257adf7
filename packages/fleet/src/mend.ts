import type { Logger, Metrics } from "@flotilla/runtime";
import { queuePrefix } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

/** What mending needs. */
export interface MendDeps {
  scripts: Scripts;
  metrics: Metrics;
  logger: Logger;
}

/** Makes damaged queues usable again, and says so; see lua/mend.lua. A queue that is sound stays as it is. */
export async function mendQueues({ scripts, metrics, logger }: MendDeps, queues: readonly string[]): Promise<void> {
  await Promise.all(
    queues.map(async (queue) => {
      const removed = await scripts.call("mend", queuePrefix(queue), [queue]);
      if (!Array.isArray(removed) || removed.length === 0) return;
      metrics.recoveryOperations.inc({ strategy: "mend" }, removed.length);
      logger.error({ queue, removed }, "a queue was damaged: what nobody could work with is removed");
    }),
  );
}
