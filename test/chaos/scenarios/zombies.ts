import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type Connection, disconnect, Scripts } from "@flotilla/fleet";
import { createFileBlobs, createLogger, redisSettingsOf } from "@flotilla/runtime";
import { until } from "@flotilla/testkit/until";
import { check } from "../checker.ts";
import { collectEvidence, settle } from "../evidence.ts";
import { Fleet } from "../fleet.ts";
import { Ledger } from "../ledger.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Run, type Scenario } from "../scenario.ts";
import { twoTasks } from "../work.ts";
import { Zombie } from "../zombie.ts";

/** A late write comes at any moment from the takeover to well after the end of the workflow, in ms after the takeover. */
const lateMs = 6000;

/** Two leases, and what a busy machine adds. */
const takeoverWithinMs = 60_000;

export const zombies: Scenario = {
  name: "zombies",
  promise: "a worker that lost its claim can write nothing any more, whatever and whenever it writes",
  control: "a client that writes results without an epoch",
  async run(run) {
    const redis = await RedisNode.start("redis", run.server, {
      dir: join(run.dir, "redis"),
      port: 0,
      appendonly: true,
      appendfsync: "always",
    });
    const ledger = await Ledger.open(join(run.dir, "ledger.jsonl"));
    const connection = connect(redisSettingsOf(redis.url), "patient", createLogger({ role: "chaos", level: "silent" }));
    const fleet = await Fleet.start({
      dir: run.dir,
      redis: { REDIS_URL: redis.url },
      shape: { supervisors: 2, agents: 2 },
    });
    try {
      const store = { scripts: new Scripts(connection), blobs: createFileBlobs(join(run.dir, "data")) };
      const made = await raise(run, fleet, ledger, store);
      run.say(`${made.length} tasks are held by zombies`);
      const taken = await Promise.all(made.map((zombie) => haunt(run, fleet, zombie, connection)));
      await settle(fleet.client, 120_000);
      const findings = check(await collectEvidence(fleet.client, ledger.path, fleet.effectsFile));
      const refused = taken.filter((kinds) => kinds.length === 0).length;
      return {
        figures: {
          zombies: made.length,
          refused: run.isControl ? 0 : refused,
          "writes each": 6,
          found: findings.length,
        },
        harm: [
          ...taken.flatMap((kinds, index) => kinds.map((kind) => `taken: ${kind} of zombie ${index + 1}`)),
          ...inWords(findings),
        ],
      };
    } finally {
      await fleet.stop();
      await ledger.close();
      disconnect(connection);
      await redis.stop();
    }
  },
};

/** Submits workflows and lets zombies have the first task of each; no worker runs meanwhile. */
async function raise(
  { random, count = 200 }: Run,
  fleet: Fleet,
  ledger: Ledger,
  store: Parameters<typeof Zombie.raise>[0],
): Promise<Zombie[]> {
  signalAgents(fleet, "SIGSTOP");
  try {
    const signal = AbortSignal.timeout(120_000);
    return await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const work = twoTasks({ firstMs: random.between(0, 1000), secondMs: random.between(0, 1000) });
        const idempotencyKey = `zombie-${index}`;
        const { id } = await fleet.client.submit(work.request, { idempotencyKey });
        await ledger.record({ id, idempotencyKey, at: Date.now(), tasks: work.tasks, effects: work.effectsOf(id) });
        return Zombie.raise(store, { workflowId: id, taskId: "first" }, signal);
      }),
    );
  } finally {
    signalAgents(fleet, "SIGCONT");
  }
}

/** Waits until the claim is taken away, then for a moment of chance, and writes; the kinds of writes that were taken. */
async function haunt(
  { random, isControl }: Run,
  fleet: Fleet,
  zombie: Zombie,
  connection: Connection,
): Promise<string[]> {
  const waitMs = random.between(0, lateMs);
  const { workflowId } = zombie.target;
  await until(
    async () => {
      for await (const { type } of fleet.client.events(workflowId)) if (type === "task.crashed") return true;
      await delay(500);
      return false;
    },
    { timeoutMs: takeoverWithinMs, what: `the takeover of ${workflowId}` },
  );
  await delay(waitMs);
  if (!isControl) return zombie.writeLate();
  await zombie.writeWithoutEpoch(connection);
  return [];
}

function signalAgents(fleet: Fleet, signal: NodeJS.Signals): void {
  for (const { pid } of fleet.of("agent")) if (pid !== undefined) process.kill(pid, signal);
}
