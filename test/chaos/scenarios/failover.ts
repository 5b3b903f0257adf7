import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@flotilla/testkit/until";
import type { RedisServer } from "@flotilla/redis";
import type { Hit } from "../driver.ts";
import { ClusterGroup } from "../groups/cluster-group.ts";
import type { Failover, Going, RedisGroup } from "../groups/group.ts";
import { SentinelGroup } from "../groups/sentinel-group.ts";
import { inWords, type Outcome, type Run, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";

/** How long a master takes writes that its replica does not get, in ms. */
const cutForMs = { min: 800, max: 2500 };

/** Workflows acknowledged between two failovers. */
const workBetween = 60;

const control = "`REDIS_DURABILITY=standard`, which syncs the disk of the master and waits for nobody";

export const failover: Scenario = {
  name: "failover",
  promise: "what was acknowledged at `strict` survives the loss of a master whose replication was cut, by Sentinel",
  control,
  run: (run) => failOvers(run, (server, dir) => SentinelGroup.start(server, dir)),
};

export const cluster: Scenario = {
  name: "cluster",
  promise: "the same for the masters of a Redis Cluster",
  control,
  run: (run) => failOvers(run, (server, dir) => ClusterGroup.start(server, dir)),
};

async function failOvers(run: Run, start: (server: RedisServer, dir: string) => Promise<RedisGroup>): Promise<Outcome> {
  const { random, dir, server, say, isControl, count = 20 } = run;
  const group = await start(server, join(dir, "redis"));
  const failovers: (Failover & { acknowledgedAlone: number })[] = [];
  try {
    const verdict = await trial(
      run,
      {
        redis: { ...group.environment, REDIS_DURABILITY: isControl ? "standard" : "strict" },
        shape: { supervisors: 1, agents: 1 },
        perSecond: 40,
      },
      async (_, ledger) => {
        const hits: Hit[] = [];
        for (let number = 1; number <= count; number++) {
          // Each hits a fleet that had gone on since the one before.
          const before = ledger.count;
          await until(() => ledger.count >= before + workBetween, {
            timeoutMs: 60_000,
            what: "work after the failover",
          });
          const at = Date.now();
          const aloneMs = random.between(cutForMs.min, cutForMs.max);
          const going: Going = random.next() < 0.5 ? "lost" : "deposed";
          let acknowledgedAlone = 0;
          const over = await group.failOver(random.fork(), going, async () => {
            const atCut = ledger.count;
            await delay(aloneMs);
            acknowledgedAlone = ledger.count - atCut;
          });
          failovers.push({ ...over, acknowledgedAlone });
          const victim = `${over.name} ${going}, ${over.forgottenBytes} bytes forgotten, ${acknowledgedAlone} acknowledged`;
          hits.push({ fault: "failover", victim, at, overAt: Date.now() });
          say(`failover ${number}: ${victim}`);
        }
        return hits;
      },
    );
    return {
      figures: {
        failovers: failovers.length,
        deposed: failovers.filter(({ going }) => going === "deposed").length,
        "that forgot writes": failovers.filter(({ forgottenBytes }) => forgottenBytes > 0).length,
        "acknowledged alone": failovers.reduce((sum, { acknowledgedAlone }) => sum + acknowledgedAlone, 0),
        ...figuresOf(verdict),
      },
      harm: inWords(verdict.findings),
    };
  } finally {
    await group.stop();
  }
}
