import { createMetrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, until } from "@flotilla/testkit";
import type { Archive } from "@flotilla/workflow";
import { onTestFinished, test } from "vitest";
import { Relay } from "../../src/archive/relay.ts";
import { fleetShards } from "../../src/shards.ts";
import { logger, phase, planOf, task, TestFleet } from "../fleet.ts";

describeRealRedis("the lag of the archive", () => {
  test("grows while a call hangs, which an archive that is away lets it do for half a minute, and is over with it", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), supervisors: 0, workers: 0 });
    onTestFinished(() => fleet.stop());
    const back = Promise.withResolvers<void>();
    const hang = async (...object: Parameters<Archive["put"]>) => {
      await back.promise;
      return fleet.archive.put(...object);
    };
    const metrics = createMetrics();
    const relay = new Relay({
      scripts: fleet.scripts,
      connection: fleet.connection,
      objects: {
        ...fleet.archive,
        put: (name, ...rest) => (name.startsWith("open/") ? hang(name, ...rest) : fleet.archive.put(name, ...rest)),
      },
      shards: await fleetShards(fleet.connection),
      checkpointEveryMs: 30_000,
      archiveRetentionMs: 3_600_000,
      hasExport: false,
      metrics,
      logger,
    });
    const lag = async () => (await metrics.checkpointLagSeconds.get()).values[0]?.value ?? 0;
    await fleet.submit(planOf(phase("p", [task("t")])));
    relay.start();
    await until(async () => (await lag()) > 2, { what: "the lag" });
    back.resolve();
    await until(async () => (await lag()) < 1, { what: "no lag" });
    await relay.stop();
  });
});
