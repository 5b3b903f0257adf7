import { join } from "node:path";
import { until } from "@flotilla/testkit/until";
import type { Hit } from "../driver.ts";
import { powerCut, whyNoPowerCuts } from "../faults/power-cut.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";

/** Long enough for some work, and for the one sync a second of the control to be some way off. */
const cutAfterMs = { min: 300, max: 1500 };

export const power: Scenario = {
  name: "power",
  promise: "what was acknowledged under `appendfsync always` survives a power cut of Redis",
  control: "`appendfsync everysec`",
  async run(run) {
    const { random, dir, server, say, isControl, count = 50 } = run;
    const skipped = await whyNoPowerCuts();
    if (skipped !== undefined) return { figures: {}, harm: [], skipped };
    const redis = await RedisNode.start("redis", server, {
      dir: join(dir, "redis"),
      port: 0,
      appendonly: true,
      appendfsync: isControl ? "everysec" : "always",
    });
    try {
      const fault = powerCut(redis, cutAfterMs);
      const verdict = await trial(
        run,
        { redis: { REDIS_URL: redis.url }, shape: { supervisors: 1, agents: 1 }, perSecond: 100 },
        async (_, ledger) => {
          const hits: Hit[] = [];
          for (let cut = 1; cut <= count; cut++) {
            // Each cut hits work that was acknowledged since the one before.
            const before = ledger.count;
            await until(() => ledger.count > before, { timeoutMs: 60_000, what: "work after the cut" });
            const at = Date.now();
            const victim = (await fault.inject(random.fork())) ?? "nobody";
            hits.push({ fault: fault.name, victim, at, overAt: Date.now() });
            say(`cut ${cut}: ${victim}`);
          }
          return hits;
        },
      );
      const lostBytes = verdict.hits.map(({ victim }) => Number(/(\d+) of them lost/.exec(victim)?.[1] ?? 0));
      return {
        figures: {
          cuts: verdict.hits.length,
          "cuts that lost bytes": lostBytes.filter((bytes) => bytes > 0).length,
          ...figuresOf(verdict),
        },
        harm: inWords(verdict.findings),
      };
    } finally {
      await redis.stop();
    }
  },
};
