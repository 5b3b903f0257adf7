import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@flotilla/testkit/until";
import { Redis } from "ioredis";
import type { Hit } from "../driver.ts";
import { SmallDisk, whyNoSmallDisks } from "../faults/small-disk.ts";
import type { Fleet } from "../fleet.ts";
import type { Ledger } from "../ledger.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";
import { unfounded } from "../unfounded.ts";
import { bulkyTasks } from "../work.ts";

/** Room for some thousand workflows, in megabytes. */
const sizes = { redis: 96, blobs: 48 };

/** How long a disk stays full once that has been felt, in ms. */
const fullForMs = { min: 500, max: 4000 };

/** Workflows that the control has acknowledged on a full disk before its Redis dies. */
const unkept = 20;

/** Which disk is full, and for Redis how often it syncs: it ends at the first write that fails, or refuses the next. */
type Full = "redis, always" | "redis, everysec" | "blobs";
const kinds: readonly Full[] = ["redis, always", "blobs", "redis, everysec"];

export const disk: Scenario = {
  name: "disk",
  promise: "a full disk, of Redis or of blobs, costs time and nothing else; what cannot be kept is refused with 503",
  control: "a Redis that is told to go on without its file when the disk is full, and dies",
  async run(run) {
    const { random, dir, server, say, isControl, count = 9 } = run;
    const skipped = await whyNoSmallDisks();
    if (skipped !== undefined) return { figures: {}, harm: [], skipped };
    const redisDir = join(dir, "redis");
    const disks = {
      redis: await SmallDisk.mount(redisDir, sizes.redis),
      blobs: await SmallDisk.mount(join(dir, "data"), sizes.blobs),
    };
    const redis = await RedisNode.start("redis", server, {
      dir: redisDir,
      port: 0,
      appendonly: true,
      appendfsync: "always",
    });
    try {
      const verdict = await trial(
        run,
        {
          redis: { REDIS_URL: redis.url },
          shape: { supervisors: 1, agents: 2 },
          perSecond: 20,
          // Submits go on, and are refused, when nothing that was submitted can end.
          open: 1000,
          work: (pace) => bulkyTasks({ firstMs: pace.between(0, 200), secondMs: pace.between(0, 200) }),
        },
        async (fleet, ledger) => {
          const hits: Hit[] = [];
          for (let number = 0; number < count; number++) {
            const before = ledger.count;
            await until(() => ledger.count > before, { timeoutMs: 60_000, what: "work after the disk was full" });
            const at = Date.now();
            const full = isControl ? "redis, always" : (kinds[number % kinds.length] ?? "blobs");
            const felt = isControl
              ? await goOnWithoutFile(redis, disks.redis, ledger)
              : await fill(full, { redis, disks, fleet, fullMs: random.between(fullForMs.min, fullForMs.max) });
            hits.push({ fault: "disk", victim: `${full}: ${felt}`, at, overAt: Date.now() });
            say(`disk ${number + 1}: ${full}: ${felt}`);
          }
          return hits;
        },
      );
      // Nobody died, and no task failed: what could not be written was to wait.
      const blamed = unfounded(verdict.evidence, ["task.crashed", "task.failed", "item.opened"]);
      return {
        figures: figuresOf(verdict),
        harm: [...inWords(verdict.findings), ...blamed.slice(0, 10)],
      };
    } finally {
      await redis.stop();
      await Promise.all([disks.redis.unmount(), disks.blobs.unmount()]);
    }
  },
};

/** Fills a disk until that is felt, and for a while more; says how it was felt. */
async function fill(
  full: Full,
  at: { redis: RedisNode; disks: Record<"redis" | "blobs", SmallDisk>; fleet: Fleet; fullMs: number },
): Promise<string> {
  const { redis, disks, fleet, fullMs } = at;
  if (full === "blobs") {
    await disks.blobs.fill();
    await delay(fullMs);
    await disks.blobs.free();
    return `for ${fullMs} ms`;
  }
  // What it is told is forgotten when it ends.
  await ask(redis, (client) => client.config("SET", "appendfsync", full === "redis, always" ? "always" : "everysec"));
  const { pid } = redis;
  const refused = fleet.unavailable;
  await disks.redis.fill();
  await until(() => fleet.unavailable > refused, { timeoutMs: 60_000, what: "an answer 503" });
  await delay(fullMs);
  const answers = fleet.unavailable - refused;
  const hasEnded = redis.pid !== pid;
  await disks.redis.free();
  return `for ${fullMs} ms, ${answers} answers 503${hasEnded ? ", redis ended" : ""}`;
}

/** What somebody may do in need: the file is given up, all goes on, and is gone with the process. */
async function goOnWithoutFile(redis: RedisNode, small: SmallDisk, ledger: Ledger): Promise<string> {
  const { pid } = redis;
  await ask(redis, (client) => client.config("SET", "appendonly", "no"));
  await small.fill();
  const before = ledger.count;
  await until(() => ledger.count >= before + unkept, { timeoutMs: 60_000, what: "work on a full disk" });
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  await small.free();
  return `${ledger.count - before} acknowledged`;
}

async function ask(redis: RedisNode, question: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(redis.url, { maxRetriesPerRequest: null }).on("error", () => undefined);
  try {
    await question(client);
  } finally {
    client.disconnect();
  }
}
