import { redisSettingsOf } from "@flotilla/runtime";
import type { TestRedis } from "@flotilla/testkit";
import { Queue, Worker } from "bullmq";
import { vi } from "vitest";
import { JobReader } from "../src/job-reader.ts";
import { queuePrefix } from "../src/keys.ts";
import { logger } from "./fleet.ts";

/** Above the 3 s that an idle worker waits on purpose. */
export const stillAfterMs = 5000;

/** What a worker asks its queue with; protected, and the only way to make it hang as drivers have made it. */
interface Fetching {
  moveToActive(this: Worker, token: string, name?: string): Promise<unknown>;
}

/** A reader of its own queue, with room for two jobs. */
export interface ReaderRig {
  queue: Queue;
  reader: JobReader<string>;
  isReachable: boolean;
  stop(): Promise<void>;
}

export async function startReader(
  redis: TestRedis,
  name: string,
  process: (text: string) => Promise<void>,
): Promise<ReaderRig> {
  const { host, port } = redisSettingsOf(redis.url);
  const queue = new Queue(name, { connection: { host, port }, prefix: queuePrefix(name) });
  const reader = new JobReader<string>({
    redis: redisSettingsOf(redis.url),
    queue: name,
    concurrency: 2,
    process: (job) => process(job.data),
    isReachable: () => rig.isReachable,
    logger,
    stillAfterMs,
  });
  const rig: ReaderRig = {
    queue,
    reader,
    isReachable: true,
    async stop() {
      vi.restoreAllMocks();
      await reader.close();
      await queue.close();
    },
  };
  await reader.start();
  return rig;
}

/** From now on fetching hangs: in the worker that fetches next or, for `all`, in every one. */
export function hangFetching(all = false): void {
  // The cast opens what is protected.
  const prototype = Worker.prototype as unknown as Fetching;
  const fetch = prototype.moveToActive;
  const stuck = new Set<Worker>();
  vi.spyOn(prototype, "moveToActive").mockImplementation(function (this: Worker, ...args: [string, string?]) {
    if (all || stuck.size === 0) stuck.add(this);
    return stuck.has(this) ? new Promise(() => undefined) : fetch.apply(this, args);
  });
}
