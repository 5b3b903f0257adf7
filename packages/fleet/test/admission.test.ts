import { setImmediate as turn } from "node:timers/promises";
import { noTracer, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { Priority } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Admission } from "../src/admission.ts";
import { connect, disconnect, Queues } from "../src/index.ts";
import { admissionQueue } from "../src/keys.ts";
import { logger, phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

describeRealRedis("admission", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  /** Workflows whose task runs, in the order in which it began, and how each is let go. */
  const begun: string[] = [];
  const release = new Map<string, () => void>();

  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), maxActiveWorkflows: 2 });
    fleet.acts.set("wait", async ({ workflowId }) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      begun.push(workflowId);
      release.set(workflowId, resolve);
      await promise;
      return { kind: "completed", output: null };
    });
  });
  afterAll(async () => {
    for (const letGo of release.values()) letGo();
    await fleet.stop();
    await redis.stop();
  });

  const submit = async (priority: Priority) => {
    const request = { ...planOf(phase("p", [task("a", { act: "wait" })])), priority };
    return (await fleet.store.submit(tenant, request)).id;
  };
  const statuses = async (ids: string[]) => {
    const views = await Promise.all(ids.map((id) => fleet.store.get(tenant, id)));
    return views.map((view) => view?.status);
  };

  test("no more workflows run than there is room for, the urgent one goes next, and all of them end", async () => {
    const ids: string[] = [];
    while (ids.length < 8) ids.push(await submit("low"));
    await until(() => begun.length === 2);
    const urgent = await submit("critical");
    const queue = new Queues(fleet.connection).open(admissionQueue);
    await until(async () => (await queue.getJobState(urgent)) === "active");
    // Two measurements of the fleet: a limit that let more in would have by now.
    const before = Date.now();
    await until(() => Date.now() - before > 2200);
    expect(begun).toHaveLength(2);
    expect((await statuses([...ids, urgent])).filter((status) => status === "queued")).toHaveLength(7);

    release.get(begun[0] ?? "")?.();
    await until(() => begun.length === 3);
    expect(begun[2]).toBe(urgent);

    await until(async () => {
      for (const letGo of release.values()) letGo();
      return (await statuses([...ids, urgent])).every((status) => status === "completed");
    });
    expect(new Set(begun)).toEqual(new Set([...ids, urgent]));
  });
});

describeRealRedis("the count of active workflows", () => {
  test("makes no room for what it is too old to know of, and does once it is not", async () => {
    const redis = await startRedis();
    const connection = connect(redisSettingsOf(redis.url), "patient", logger);
    const queues = new Queues(connection);
    const started: string[] = [];
    const starting = Promise.withResolvers<void>();
    const admission = new Admission({
      redis: redisSettingsOf(redis.url),
      isReachable: () => true,
      maxActive: 1,
      tracer: noTracer,
      start: async (workflows) => {
        started.push(...workflows.map(({ id }) => id));
        await starting.promise;
      },
      logger,
    });
    try {
      const counted = Promise.withResolvers<number>();
      const measured = admission.measure(() => counted.promise);
      await admission.start();
      await queues.admit(["one", "two"].map((id) => ({ id, priority: "normal" })));
      await until(async () => started.length === 1 && (await queues.depth(admissionQueue)).active === 2);
      counted.resolve(0);
      await measured;
      for (let turns = 0; turns < 10; turns++) await turn();
      expect(started).toEqual(["one"]);

      starting.resolve();
      await until(async () => (await queues.depth(admissionQueue)).active === 1);
      await until(async () => {
        await admission.measure(async () => 0);
        return started.length === 2;
      });
      expect(started).toEqual(["one", "two"]);
    } finally {
      starting.resolve();
      await admission.stop();
      await queues.close();
      disconnect(connection);
      await redis.stop();
    }
  });
});
