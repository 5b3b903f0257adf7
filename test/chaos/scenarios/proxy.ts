import { join } from "node:path";
import { faultProxy } from "@flotilla/testkit/fault-proxy";
import { drive } from "../driver.ts";
import { networkFaults } from "../faults/network.ts";
import { RedisNode } from "../redis-node.ts";
import { inWords, type Scenario } from "../scenario.ts";
import { figuresOf, trial } from "../trial.ts";

/** Shorter and longer than what any side waits for. */
const faultForMs = { min: 200, max: 6000 };

export const proxy: Scenario = {
  name: "proxy",
  promise: "whatever the network does between the fleet and Redis, nothing is lost, repeated, stuck or out of order",
  control: "a client that repeats a call without an idempotency key",
  async run(run) {
    const { random, dir, server, forMs, say, isControl } = run;
    const redis = await RedisNode.start("redis", server, {
      dir: join(dir, "redis"),
      port: 0,
      appendonly: true,
      appendfsync: "always",
    });
    const between = await faultProxy(redis.port);
    try {
      const verdict = await trial(
        run,
        {
          redis: { REDIS_URL: between.url },
          shape: { supervisors: 2, agents: 2 },
          perSecond: 20,
          isKeyless: isControl,
        },
        () =>
          drive({
            random,
            forMs,
            everyMs: { min: 2000, max: 8000 },
            faults: networkFaults(between, faultForMs)
              // A reply that is lost is what a key is for.
              .filter(({ name }) => !isControl || name === "dropReplies")
              .map((fault) => ({ fault, weight: 1 })),
            // There is one proxy.
            atOnce: 1,
            onHit: ({ fault, victim }) => say(`${fault}: ${victim}`),
          }),
      );
      return { figures: figuresOf(verdict), harm: inWords(verdict.findings) };
    } finally {
      await between.stop();
      await redis.stop();
    }
  },
};
