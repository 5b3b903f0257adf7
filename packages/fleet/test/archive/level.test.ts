import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { type Archive, UnknownOutcomeError } from "@flotilla/workflow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rebuild, RedisStore } from "../../src/index.ts";
import { logger, phase, planOf, task, tenant, TestFleet } from "../fleet.ts";

describeRealRedis("the level `archive`", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeEach(async () => {
    redis = await startRedis();
    // No supervisor: nothing is archived behind the work.
    fleet = await TestFleet.start({ redis: settings(), hasArchive: true, supervisors: 0 });
  });
  afterEach(async () => {
    await fleet.stop();
    await redis.stop();
  });

  function settings(level: "archive" | "standard" = "archive") {
    return { ...redisSettingsOf(redis.url), durability: { level, replicas: 1 } };
  }

  const rebuilt = () => rebuild({ redis: settings(), objects: fleet.archive, retentionMs: 1000, force: false, logger });

  test("what was acknowledged a moment before a total loss is back, and below that level it is not", async () => {
    const careless = new RedisStore({
      redis: settings("standard"),
      blobs: fleet.blobs,
      idempotencyMs: 1000,
      archive: fleet.archive,
      logger,
    });
    await careless.start();
    const request = planOf(phase("p", [task("t")]));
    const kept = await Promise.all(Array.from({ length: 20 }, () => fleet.submit(request)));
    const lost = (await careless.submit(tenant, request)).id;
    await careless.stop();
    await fleet.connection.flushall();
    expect(await rebuilt()).toMatchObject({ found: 20, open: 20 });
    for (const id of kept) expect((await fleet.store.get(tenant, id))?.status).toBe("queued");
    expect(await fleet.store.get(tenant, lost)).toBeUndefined();
    await fleet.addSupervisor();
    for (const id of kept) expect((await fleet.end(id)).view.status).toBe("completed");
  });

  test("while the archive is away a submit is not acknowledged, and repeating it later is one workflow", async () => {
    let isAway = true;
    const archive: Archive = {
      ...fleet.archive,
      put: (...object) => (isAway ? Promise.reject(new Error("away")) : fleet.archive.put(...object)),
    };
    const store = new RedisStore({ redis: settings(), blobs: fleet.blobs, idempotencyMs: 60_000, archive, logger });
    await store.start();
    const submit = () => store.submit(tenant, planOf(phase("p", [task("t")])), { key: "k", bodyHash: "h" });
    await expect(submit()).rejects.toThrow(UnknownOutcomeError);
    isAway = false;
    const { id } = await submit();
    await store.stop();
    await fleet.connection.flushall();
    expect(await rebuilt()).toMatchObject({ found: 1 });
    expect((await fleet.store.get(tenant, id))?.status).toBe("queued");
  });

  test("an effect begins when its intent is in the archive", async () => {
    const seen: string[] = [];
    fleet.acts.set("effect", async ({ workflowId }, journal) => {
      await journal.intend({ key: "pay", inputHash: "h", intent: { class: "unsafe", key: "k" } });
      for await (const { name } of fleet.archive.list(`open/${workflowId}/`)) seen.push(name);
      await fleet.connection.flushall();
      return { kind: "completed", output: null };
    });
    await fleet.addSupervisor();
    const id = await fleet.submit(planOf(phase("p", [task("t", { act: "effect" })])));
    await until(async () => seen.length > 0 && (await fleet.store.get(tenant, id)) === undefined, {
      what: "the effect",
    });
    expect((await rebuilt()).unproven).toEqual({ idempotent: 0, queryable: 0, unsafe: 1 });
  });
});
