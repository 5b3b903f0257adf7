import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, run, together } from "./plans.ts";
import { effectsOf, expectDoneOnce, idempotentSteps, stepsOfWork, submitWork } from "./work.ts";
import { Wire } from "./wire.ts";

describeRealRedis("kills", () => {
  let folder: string;
  let fleet: Fleet;
  // One task a process, so that a probe that kills itself takes nobody with it.
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-kills-"));
    fleet = await Fleet.start({
      dataDir: join(folder, "data"),
      args: onlyProbes(4),
      env: { AGENT_CONCURRENCY: "1" },
    });
  });
  afterAll(async () => {
    await fleet.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  describe.concurrent("a worker that dies", () => {
    test.for([
      { at: "before", replayed: 2, repeated: 0 },
      { at: "during", replayed: 2, repeated: 1 },
      { at: "after", replayed: 3, repeated: 0 },
    ])(
      "$at its third step is followed by one that runs only what is left",
      async ({ at, replayed, repeated }, { expect }) => {
        const input = { steps: idempotentSteps(4, 1), crash: [{ step: 2, at }], output: "done" };
        const { view, events } = await run(fleet, planOf(together("p", [probe("a", input)])));
        expect(view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });
        expect(view.result).toMatchObject({
          output: "done",
          attempt: 1,
          claim: 2,
          executedSteps: 4 - replayed,
          replayedSteps: replayed,
        });
        expect(events.filter(({ type }) => type === "task.crashed")).toHaveLength(1);
        const own = (await fleet.effects()).filter(({ workflowId }) => workflowId === view.id);
        expect(own.filter(({ applied }) => applied).map(({ step }) => step)).toEqual([0, 1, 2, 3]);
        expect(own.filter(({ applied }) => !applied).map(({ step }) => step)).toEqual(Array(repeated).fill(2));
      },
    );
  });

  test("a worker that stands still while its workflow fails and is retried writes nothing into what goes on", async () => {
    const { client } = fleet;
    const held = probe("held", { sleepMs: 3000, output: "done" });
    const fails = probe("fails", { sleepMs: 300, fail: [{ attempt: 1, class: "data" }] });
    const { id } = await client.submit(planOf(together("p", [held, fails])));
    let worker = 0;
    try {
      for await (const { type, taskId, data } of client.events(id, { follow: true })) {
        if (type !== "task.started" || taskId !== "held") continue;
        worker = Number(/\.(\d+)$/.exec(String(Object(data).worker))?.[1]);
        process.kill(worker, "SIGSTOP");
        break;
      }
      expect(await client.wait(id)).toMatchObject({ status: "failed", tasks: [{ status: "cancelled" }, {}] });
      await client.retry(id);
      expect(await client.wait(id)).toMatchObject({
        status: "completed",
        tasks: [{ attempt: 2, output: { output: "done", attempt: 2, claim: 1 } }, { attempt: 2 }],
      });
    } finally {
      if (worker > 0) process.kill(worker, "SIGCONT");
    }
    const before = await collect(client.events(id));
    // It is done with the old task when it takes another, or ends itself for having stood still.
    await until(async () => {
      if (!fleet.pids("agent").includes(worker)) return true;
      const all = Array.from({ length: 8 }, () => run(fleet, planOf(together("p", [probe("a", { sleepMs: 50 })]))));
      return (await Promise.all(all)).some(({ view }) => Object(view.result).pid === worker);
    });
    expect(await collect(client.events(id))).toEqual(before);
    expect(before.filter(({ type, taskId }) => type === "task.completed" && taskId === "held")).toHaveLength(1);
  });

  test(
    "SIGKILL of workers, supervisor, API and Redis in mid-task loses and repeats nothing",
    { timeout: 180_000 },
    async () => {
      const { url } = fleet.ready;
      const ids = await submitWork(fleet, 32);
      // Each kill waits for new effects: it hits work that has gone on since the one before.
      for (const role of ["agent", "supervisor", "api", "agent", "redis", "agent"] as const) {
        const before = await effectsOf(fleet, ids);
        await until(async () => (await effectsOf(fleet, ids)) > before + 8, {
          timeoutMs: 30_000,
          what: `work before the ${role}`,
        });
        const { downMs } = await fleet.kill(role);
        // Redis counts as back when it has its data, the others when they are spawned. The promise is a second; the
        // rest is for a machine that is busy, and less than a restart that was put off.
        expect(downMs, role).toBeLessThan(role === "redis" ? 4000 : 3000);
      }
      expect(await effectsOf(fleet, ids)).toBeLessThan(ids.length * stepsOfWork);
      await expectDoneOnce(fleet, ids);
      expect(fleet.ready.url).toBe(url);
      const crashed = (await Promise.all(ids.map((id) => fleet.client.get(id)))).flatMap(({ tasks }) => tasks);
      expect(crashed.every(({ attempt }) => attempt === 1)).toBe(true);
    },
  );

  test("with a Redis that is silent every call is 503 within 1.5 s, and goes through afterwards", async () => {
    const wire = new Wire(fleet.ready);
    const body = { agent: "probe", input: { output: "stored once" } };
    const headers = { "idempotency-key": crypto.randomUUID() };
    const [redis] = fleet.pids("redis");
    if (redis === undefined) throw new Error("no redis to stop");
    process.kill(redis, "SIGSTOP");
    try {
      const startedAt = performance.now();
      const answers = await Promise.all([
        wire.call("GET /v1/workflows"),
        wire.call("GET /ready", { key: null }),
        wire.call("POST /v1/workflows", { body, headers }),
      ]);
      // The promise is 1.5 s; the rest is for a machine that is busy.
      expect(performance.now() - startedAt).toBeLessThan(2500);
      for (const { status, json, headers } of answers) {
        expect([status, json]).toMatchObject([
          503,
          { code: expect.stringMatching(/^(store-unavailable|unknown-outcome)$/) },
        ]);
        expect(headers.get("retry-after")).toMatch(/^\d+$/);
      }
      expect((await wire.call("GET /health", { key: null })).status).toBe(200);
    } finally {
      process.kill(redis, "SIGCONT");
    }
    const id = await until(async () => {
      const { status, json } = await wire.call("POST /v1/workflows", { body, headers });
      return status === 202 ? String(Object(json).id) : undefined;
    });
    expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", result: { output: "stored once" } });
  });
});
