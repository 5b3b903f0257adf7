import { Worker } from "bullmq";
import { Redis } from "ioredis";

/** A worker of BullMQ alone that tells its parent when each job came, by its own clock and by that of Redis. */
const connection = new Redis(process.env["REDIS_URL"] ?? "", { maxRetriesPerRequest: null });
const worker = new Worker(
  "delayed",
  async ({ id }) => {
    const [seconds, microseconds] = (await connection.time()).map(Number);
    process.send?.({ id, ownMs: Date.now(), redisMs: (seconds ?? 0) * 1000 + (microseconds ?? 0) / 1000 });
  },
  { connection, prefix: "{delayed}" },
);
worker.on("error", () => undefined);
await worker.waitUntilReady();
process.send?.({ kind: "ready" });
