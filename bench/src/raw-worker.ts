import { Worker } from "bullmq";
import { Redis } from "ioredis";

const [url = "", queueName = "", concurrency = "1"] = process.argv.slice(2);

const connection = new Redis(url, { maxRetriesPerRequest: null });
const worker = new Worker(
  queueName,
  async (job) => {
    if (job.name === "review") setImmediate(() => process.send?.({ kind: "done" }));
    return job.data as unknown;
  },
  { connection, concurrency: Number(concurrency), lockDuration: 10_000, stalledInterval: 5000 },
);

process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ kind: "usage", cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 2 ** 20 });
});
process.on("disconnect", () => process.exit(0));
await worker.waitUntilReady();
process.send?.({ kind: "ready" });
