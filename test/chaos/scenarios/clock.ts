import { join } from "node:path";
import { startProcess } from "@flotilla/testkit/processes";
import { until } from "@flotilla/testkit/until";
import { Queue } from "bullmq";
import { z } from "zod";
import type { Evidence } from "../checker.ts";
import { drive } from "../driver.ts";
import { clockStep, Clocks, findFaketime } from "../faults/clock.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Outcome, type Run, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";
import { unfounded } from "../unfounded.ts";
import { retriedTasks } from "../work.ts";

/** More than any lease, wait or time limit of the work. */
const skewMs = { min: 60_000, max: 600_000 };

/** What each first task waits for after its first attempt. */
const backoffMs = 2000;

/** Before this a delayed job of the control must not run. */
const delayMs = 60_000;

/** Findings of a kind that are told one by one. */
const shown = 10;

export const clock: Scenario = {
  name: "clock",
  promise: "clocks of processes that step by minutes, either way, lose, double, cut short and begin early nothing",
  control: "delays of BullMQ, which follow the clock of the worker",
  async run(run) {
    const { dir, server, isControl } = run;
    const library = await findFaketime();
    if (library === undefined) return { figures: {}, harm: [], skipped: "there is no faketime, which moves clocks" };
    const clocks = await Clocks.open(library, join(dir, "clocks"));
    const redis = await RedisNode.start("redis", server, {
      dir: join(dir, "redis"),
      port: 0,
      appendonly: true,
      appendfsync: "always",
    });
    try {
      return await (isControl ? byOwnClocks(redis.url, clocks) : byRedisClock(run, redis.url, clocks));
    } finally {
      await redis.stop();
    }
  },
};

async function byRedisClock(run: Run, url: string, clocks: Clocks): Promise<Outcome> {
  const { random, forMs, say } = run;
  let ended: string[] = [];
  const verdict = await trial(
    run,
    {
      redis: { REDIS_URL: url },
      shape: { supervisors: 2, agents: 2 },
      envOf: (role, index) => clocks.environment(`${role} ${index + 1}`),
      perSecond: 15,
      work: (pace) => retriedTasks({ firstMs: pace.between(0, 200), secondMs: pace.between(0, 200) }, backoffMs),
    },
    async ({ members }) => {
      const pids = members.map(({ pid }) => pid);
      const hits = await drive({
        random,
        forMs,
        everyMs: { min: 500, max: 2500 },
        faults: [{ fault: clockStep(clocks, members, skewMs), weight: 1 }],
        // A process may not be given a third time while it is seen to have the second.
        atOnce: 1,
        onHit: ({ victim }) => say(`clock: ${victim}`),
      });
      ended = members.filter(({ pid }, index) => pid !== pids[index]).map(({ name }) => name);
      return hits;
    },
  );
  const waits = waitsOf(verdict.evidence);
  const harm = [
    ...ended.map((name) => `ended: ${name}, which nobody killed`),
    ...waits.filter(({ ms }) => ms < backoffMs).map(({ id, ms }) => `early: ${id}: tried again after ${ms} ms`),
    ...unfounded(verdict.evidence, ["task.crashed", "task.timed_out"]),
  ];
  return {
    figures: {
      retries: waits.length,
      "shortest wait ms": Math.min(...waits.map(({ ms }) => ms)),
      ...figuresOf(verdict),
    },
    harm: [...inWords(verdict.findings), ...harm.slice(0, shown)],
  };
}

/** How long each first task waited between its failure and its second attempt, in ms of Redis. */
function waitsOf({ told }: Evidence): { id: string; ms: number }[] {
  return [...told].flatMap(([id, { events }]) => {
    const failed = events.find(({ type }) => type === "task.failed");
    const again = events.find(({ type, seq, taskId }) => {
      return failed && type === "task.started" && taskId === failed.taskId && seq > failed.seq;
    });
    return failed && again ? [{ id, ms: Date.parse(again.at) - Date.parse(failed.at) }] : [];
  });
}

const Ran = z.object({ id: z.string(), ownMs: z.number(), redisMs: z.number() });

/** Delayed jobs and a worker whose clock is ahead. */
async function byOwnClocks(url: string, clocks: Clocks): Promise<Outcome> {
  const jobs = 20;
  const queue = new Queue("delayed", { connection: { url }, prefix: "{delayed}" });
  queue.on("error", () => undefined);
  await clocks.set("worker", skewMs.max);
  const worker = await startProcess({
    main: join(import.meta.dirname, "..", "controls", "delayed.ts"),
    env: { ...clocks.environment("worker"), REDIS_URL: url },
    readyTimeoutMs: 60_000,
  });
  const ran: z.infer<typeof Ran>[] = [];
  worker.onMessage((message) => {
    const { data } = Ran.safeParse(message);
    if (data) ran.push(data);
  });
  try {
    const addedAt = Date.now();
    await queue.addBulk(Array.from({ length: jobs }, () => ({ name: "job", data: {}, opts: { delay: delayMs } })));
    await until(() => ran.length === jobs, { timeoutMs: 20_000 }).catch(() => undefined);
    const early = ran.filter(({ redisMs }) => redisMs < addedAt + delayMs);
    const skews = ran.map(({ ownMs, redisMs }) => Math.round((ownMs - redisMs) / 1000));
    return {
      figures: { jobs, early: early.length, "skew s": skews[0] ?? "unknown" },
      harm: early
        .slice(0, shown)
        .map(({ id, redisMs }) => `early: job ${id}: after ${Math.round(redisMs - addedAt)} of ${delayMs} ms`),
    };
  } finally {
    await worker.stop("SIGKILL");
    await queue.close();
  }
}
