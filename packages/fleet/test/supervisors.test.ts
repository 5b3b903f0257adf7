import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shardTag } from "../src/keys.ts";
import { takeMs } from "../src/reconcile.ts";
import { fleetShards } from "../src/shards.ts";
import { phase, planOf, story, task, TestFleet } from "./fleet.ts";

/** What the death of a supervisor may cost the workflows that it has. */
const promisedMs = 5000;

describeRealRedis("two supervisors", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  test("what one has taken when it dies is with the other within five seconds, and done once", async () => {
    const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
    const gate = Promise.withResolvers<void>();
    let running = 0;
    fleet.acts.set("wait", async ({ taskId }) => {
      running++;
      await gate.promise;
      return { kind: "completed", output: taskId };
    });
    const request = planOf(phase("p", [task("a", { act: "wait" })]), phase("q", [task("b")]));
    const ids = await Promise.all(Array.from({ length: 20 }, () => fleet.submit(request)));
    await until(() => running === 20);
    gate.resolve();
    // One that takes what is due, as often as it can, until it has some; and then never says another word.
    const taken = new Set<string>();
    let diedAt = 0;
    await until(async () => {
      for (const shard of await fleetShards(fleet.connection)) {
        const args = [64, "dead", takeMs, 6000, 2000];
        const [, , , ...entries] = (await fleet.scripts.call("take", shardTag(shard), args)) as [
          number,
          number,
          number,
          ...[string][],
        ];
        for (const [id] of entries) taken.add(id);
        if (entries.length > 0) diedAt = Date.now();
        // Made due as any fact makes it, for the living one is quick.
        else for (const id of ids.slice(0, 5)) await fleet.makeDue(id);
      }
      return taken.size > 0;
    });
    const runs = await Promise.all(ids.map((id) => fleet.end(id)));
    // The log has the time of Redis, which is on this machine.
    expect(Math.max(...runs.map(({ view }) => Date.parse(view.endedAt ?? ""))) - diedAt).toBeLessThan(promisedMs);
    for (const run of runs) {
      expect(run.view.status).toBe("completed");
      for (const id of ["a", "b"]) expect(story(run, id)).toEqual(["task.scheduled", "task.started", "task.completed"]);
    }
    await fleet.stop();
  });
});
