import { join } from "node:path";
import { drive } from "../driver.ts";
import { kill, stop, terminate } from "../faults/signals.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";

/** How often each role is hit. */
const weights = { redis: 1, api: 1, supervisor: 2, agent: 3 };

/** Stops that end before and after the lease of a claim, which is 6 s. */
const stopForMs = { min: 500, max: 9000 };

export const kills: Scenario = {
  name: "kills",
  promise: "whatever process is killed, stopped or ended, nothing is lost, repeated, stuck or out of order",
  control: "the world outside ignores the keys of effects",
  async run(run) {
    const { random, dir, server, isControl, forMs, count, say } = run;
    const redis = await RedisNode.start("redis", server, {
      dir: join(dir, "redis"),
      port: 0,
      appendonly: true,
      // Durability as `standard` has it.
      appendfsync: "always",
    });
    const total = count ?? Math.ceil(forMs / 60);
    const careless = { FLOTILLA_AGENTS_DIR: join(import.meta.dirname, "..", "controls", "agents") };
    try {
      const verdict = await trial(
        run,
        {
          redis: { REDIS_URL: redis.url },
          shape: { supervisors: 2, agents: 3 },
          // A little ahead of the faults, so that the last of them hit work too.
          perSecond: (1.05 * total * 1000) / forMs,
          total,
          // A kill between an effect and its record must be sure to happen.
          ...(isControl ? { agentType: "careless", env: careless, stepMs: 2000 } : {}),
        },
        (fleet) => {
          const victims = [redis, ...fleet.members];
          return drive({
            random,
            forMs,
            everyMs: { min: 800, max: 2400 },
            faults: [
              { fault: kill(victims, weights), weight: 18 },
              { fault: terminate(victims, weights), weight: 1 },
              { fault: stop(victims, weights, stopForMs), weight: 1 },
            ],
            onHit: ({ fault, victim }) => say(`${fault}: ${victim}`),
          });
        },
      );
      const killed = verdict.hits.filter(({ fault }) => fault === "kill");
      const redisKilled = killed.filter(({ victim }) => victim === "redis").length;
      return {
        figures: { kills: killed.length, "of Redis": redisKilled, ...figuresOf(verdict) },
        harm: inWords(verdict.findings),
      };
    } finally {
      await redis.stop();
    }
  },
};
