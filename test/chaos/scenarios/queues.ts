import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Evidence } from "../checker.ts";
import type { Hit } from "../driver.ts";
import { queueDamage } from "../faults/queue-damage.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Outcome, type Run, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";

/** Longest that a workflow may stand still, in ms: within it a job that was lost is found, and dispatched anew. */
const silentMs = 60_000;

/** Between two damages, in ms. */
const damageEveryMs = { min: 50, max: 350 };

export const queues: Scenario = {
  name: "queues",
  promise:
    "keys of BullMQ that are deleted or spoilt cost time and nothing else: no workflow stands still for a minute",
  control: "jobs of BullMQ alone, with no log behind them",
  async run(run) {
    const { dir, server, isControl } = run;
    const redis = await RedisNode.start("redis", server, {
      dir: join(dir, "redis"),
      port: 0,
      appendonly: true,
      appendfsync: "everysec",
    });
    const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
    try {
      return await (isControl ? withoutLog(run, redis.url, connection) : withFleet(run, redis.url, connection));
    } finally {
      connection.disconnect();
      await redis.stop();
    }
  },
};

async function withFleet(run: Run, url: string, connection: Redis): Promise<Outcome> {
  const { count = 300, random, say } = run;
  const fault = queueDamage(connection, [
    "{agent.probe}:agent.probe",
    "{agent.probe}:agent.probe",
    "{workflows}:workflows",
  ]);
  const verdict = await trial(
    run,
    {
      redis: { REDIS_URL: url },
      shape: { supervisors: 2, agents: 2 },
      // Some jobs wait at any moment, and none for long.
      env: { AGENT_CONCURRENCY: "3", MAX_ACTIVE_WORKFLOWS: "40" },
      open: 60,
      perSecond: 12,
    },
    async () => {
      const hits: Hit[] = [];
      const deadline = performance.now() + count * 2000;
      while (hits.length < count && performance.now() < deadline) {
        await delay(random.between(damageEveryMs.min, damageEveryMs.max));
        const at = Date.now();
        const victim = await fault.inject(random.fork());
        if (victim === undefined) continue;
        hits.push({ fault: fault.name, victim, at, overAt: Date.now() });
        say(`${hits.length}: ${victim}`);
      }
      return hits;
    },
  );
  const silences = longestSilences(verdict.evidence);
  const tooLong = silences.filter(({ ms }) => ms > silentMs);
  const repairs = [...verdict.evidence.told.values()]
    .flatMap(({ events }) => events)
    .filter(({ type }) => type === "repair.applied");
  return {
    figures: {
      damages: verdict.hits.length,
      "jobs dispatched anew": repairs.length,
      "longest silence ms": Math.max(0, ...silences.map(({ ms }) => ms)),
      ...figuresOf(verdict),
    },
    harm: [...inWords(verdict.findings), ...tooLong.map(({ id, ms }) => `silent: ${id}: for ${ms} ms`)],
  };
}

/** The longest time between two events of each workflow, in ms. */
function longestSilences({ told }: Evidence): { id: string; ms: number }[] {
  return [...told].map(([id, { events }]) => {
    const times = events.map(({ at }) => Date.parse(at));
    return { id, ms: Math.max(0, ...times.slice(1).map((time, index) => time - (times[index] ?? time))) };
  });
}

/** The same damage to a queue whose jobs are all that there is. */
async function withoutLog({ random, say }: Run, url: string, connection: Redis): Promise<Outcome> {
  const jobs = 200;
  const name = "raw";
  const prefix = "{raw}";
  const queue = new Queue(name, { connection: { url }, prefix });
  const done = new Set<string>();
  await queue.addBulk(
    Array.from({ length: jobs }, (_, n) => ({ name: "job", data: { n }, opts: { priority: 3, jobId: `job-${n}` } })),
  );
  const fault = queueDamage(connection, [`${prefix}:${name}`]);
  for (let n = 0; n < 40; n++) say(`${await fault.inject(random.fork())}`);
  const worker = new Worker(name, async ({ data }) => void done.add(String(data.n)), {
    connection: { url, maxRetriesPerRequest: null },
    prefix,
    runRetryDelay: 1000,
  });
  worker.on("error", () => undefined);
  queue.on("error", () => undefined);
  try {
    const deadline = performance.now() + 20_000;
    while (done.size < jobs && performance.now() < deadline) await delay(100);
    const lost = jobs - done.size;
    return { figures: { jobs, done: done.size, lost }, harm: lost > 0 ? [`lost: ${lost} of ${jobs} jobs`] : [] };
  } finally {
    await worker.close(true);
    await queue.close();
  }
}
