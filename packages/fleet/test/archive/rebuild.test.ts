import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { type Executor, fold } from "@flotilla/workflow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readObject } from "../../src/archive/record.ts";
import { rebuild, RebuildRefusedError } from "../../src/index.ts";
import { logger, phase, planOf, statuses, story, task, tenant, TestFleet } from "../fleet.ts";

describeRealRedis("after a total loss", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  let retentionMs = 3_600_000;
  beforeEach(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), hasArchive: true, retentionMs });
  });
  afterEach(async () => {
    await fleet.stop();
    await redis.stop();
    retentionMs = 3_600_000;
  });

  const options = (force = false) => ({
    redis: redisSettingsOf(redis.url),
    objects: fleet.archive,
    retentionMs: 3_600_000,
    force,
    logger,
  });

  /** Waits until the archive has all that there is of these workflows now. */
  async function archived(...ids: string[]): Promise<void> {
    const isArchived = async (id: string) => {
      const [tip, shipped, changes, shippedChanges, endedAt, hasEnd] = await fleet.connection.hmget(
        `{s00}:wf:${id}:index`,
        "tip",
        "shipped",
        "changes",
        "shippedChanges",
        "endedAt",
        "archived",
      );
      return tip === shipped && (changes ?? "0") === (shippedChanges ?? "0") && (endedAt === null || hasEnd === "1");
    };
    await until(async () => (await Promise.all(ids.map(isArchived))).every(Boolean), {
      timeoutMs: 15_000,
      what: "the archive",
    });
  }

  /** A gate for tasks: they wait for it, and say how often they ran. */
  function gate(): { act: Executor; open(): void; runs: string[] } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const runs: string[] = [];
    const act: Executor = async ({ taskId }, _journal, signal) => {
      runs.push(taskId);
      const aborted = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      await Promise.race([promise, aborted]);
      return { kind: "completed", output: taskId };
    };
    return { act, open: () => resolve(), runs };
  }

  async function loseEverything(): Promise<void> {
    await fleet.connection.flushall();
  }

  test("what was open goes on: running, waiting for a dependency, done tasks are not run again", async () => {
    const { act, open, runs } = gate();
    fleet.acts.set("gate", act);
    const id = await fleet.submit(
      planOf(
        phase("first", [task("a", "x".repeat(3000)), task("b", { act: "gate" })]),
        phase("second", [task("c", "{{tasks.a.output}}")]),
      ),
    );
    await until(() => runs.length === 1, { what: "the gate" });
    await archived(id);
    await loseEverything();
    expect(await fleet.store.get(tenant, id)).toBeUndefined();

    const report = await rebuild(options());
    expect(report).toMatchObject({ found: 1, open: 1, ended: 0, present: 0, released: 1, unreadable: [] });
    await until(() => runs.length === 2, { what: "the gate again" });
    open();
    const run = await fleet.end(id);
    expect(run.view.status).toBe("completed");
    expect(statuses(run)).toEqual({ a: "completed", b: "completed", c: "completed" });
    expect(run.view.result).toBe("x".repeat(3000));
    expect(story(run, "a").filter((type) => type === "task.started")).toHaveLength(1);
    expect(story(run, "b")).toContain("repair.applied");
    expect(run.view.tasks.find((one) => one.id === "b")?.attempt).toBe(1);
    // The claim of before the loss is superseded by epoch as well as by its holder.
    const epochs = run.events.flatMap((event) =>
      event.type === "task.started" && event.taskId === "b" ? [event.epoch ?? 0] : [],
    );
    expect(epochs).toEqual([1, 1002]);
    expect(fold(id, undefined, run.events).status).toBe("completed");
  });

  test("effects are not done twice: steps are replayed, and what is in doubt is asked of a person", async () => {
    const { promise: release, resolve: open } = Promise.withResolvers<void>();
    let claims = 0;
    fleet.acts.set("steps", async (_task, journal) => {
      const known = await journal.load();
      if (++claims === 1) {
        await journal.record({ key: "done", inputHash: "h", result: 1 });
        await journal.share({ key: "set", inputHash: "h", name: "n", change: { version: 0, value: 1 } });
        await journal.intend({ key: "begun", inputHash: "h", intent: { class: "unsafe", key: "k" } });
        await release;
      }
      const shared = await journal.share({ key: "see", inputHash: "h", name: "n" });
      return { kind: "completed", output: [known.map(({ key }) => key).toSorted(), shared?.result ?? null] };
    });
    const id = await fleet.submit(planOf(phase("p", [task("t", { act: "steps" })])));
    await until(async () => (await fleet.connection.exists(`{s00}:wf:${id}:journal:t`)) === 1, { what: "a step" });
    await until(async () => (await fleet.connection.hlen(`{s00}:wf:${id}:journal:t`)) === 3, { what: "an intent" });
    await archived(id);
    await loseEverything();
    const report = await rebuild(options());
    expect(report.unproven).toEqual({ idempotent: 0, queryable: 0, unsafe: 1 });
    open();
    const run = await fleet.end(id);
    const shared = { value: { isSet: false, value: 1, version: expect.any(Number) } };
    expect(run.view.result).toEqual([["begun", "done", "set"], shared]);
  });

  test("lists, idempotency keys, retries, open items and API keys are back", async () => {
    fleet.acts.set("doubt", () =>
      Promise.resolve({
        kind: "parked",
        doubt: { tool: "pay", key: "k", step: "s", argumentsBytes: 2, argumentsHash: "h" },
      }),
    );
    const request = { ...planOf(phase("p", [task("t", { act: "doubt" })])), tags: { team: "red" } };
    const idempotency = { key: "once", bodyHash: "h" };
    const { id } = await fleet.store.submit(tenant, request, idempotency);
    const done = await fleet.run(planOf(phase("p", [task("t")])));
    await until(async () => (await fleet.store.get(tenant, id))?.status === "waiting", { what: "the item" });
    const signal = () => fleet.store.signal(tenant, id, { name: "s", by: "me" }, { key: "told", bodyHash: "h" });
    expect((await signal())?.kind).toBe("sent");
    const before = await fleet.store.inbox.list({ tenant, limit: 10 });
    await archived(id, done.id);
    await loseEverything();
    expect(await rebuild(options())).toMatchObject({ found: 2, open: 1, ended: 1 });

    expect(await fleet.store.submit(tenant, request, idempotency)).toMatchObject({ kind: "repeated", id });
    expect((await signal())?.kind).toBe("repeated");
    const listed = await fleet.store.list({ tenant, tag: { key: "team", value: "red" }, limit: 10 });
    expect(listed?.workflows.map((one) => one.id)).toEqual([id]);
    expect((await fleet.store.list({ tenant, status: "completed", limit: 10 }))?.workflows).toHaveLength(1);
    expect((await fleet.store.list({ tenant, status: "waiting", limit: 10 }))?.workflows).toHaveLength(1);
    const after = await fleet.store.inbox.list({ tenant, limit: 10 });
    expect(after?.items.map((item) => item.id)).toEqual(before?.items.map((item) => item.id));
    expect((await fleet.store.get(tenant, done.id))?.result).toBe("t");
    expect(await fleet.connection.scard("{s00}:active")).toBe(0);
  });

  test("undoing goes on where it was: what was undone is not undone again", async () => {
    const { act, open, runs } = gate();
    const undone: string[] = [];
    fleet.acts.set("undo", async (claimed, ...rest) => {
      if (claimed.taskId === "a~undo") await act(claimed, ...rest);
      undone.push(claimed.taskId);
      return { kind: "completed", output: null };
    });
    fleet.acts.set("fail", () =>
      Promise.resolve({ kind: "failed", error: { class: "data", code: "bad", message: "as told" } }),
    );
    const undoable = (name: string) => task(name, name, { compensate: { agent: "worker", input: { act: "undo" } } });
    const id = await fleet.submit(
      planOf(
        phase("work", [undoable("a"), undoable("b")], { parallel: false }),
        phase("end", [task("bad", { act: "fail" }, { onFailure: "compensate" })]),
      ),
    );
    await until(() => runs.length === 1, { what: "the second undoing" });
    await archived(id);
    await loseEverything();
    expect(await rebuild(options())).toMatchObject({ open: 1, released: 1, unreadable: [] });
    await until(() => runs.length === 2, { what: "the second undoing again" });
    open();
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "failed", compensation: "done" });
    expect(statuses(run)).toEqual({ a: "compensated", b: "compensated", bad: "failed" });
    // The worker of before the loss was let go on as well, and what it says is refused.
    expect(undone.filter((name) => name === "b~undo")).toHaveLength(1);
  });

  test("it is refused where workflows live, and with force leaves them as they are", async () => {
    const { act, open, runs } = gate();
    fleet.acts.set("gate", act);
    const id = await fleet.submit(planOf(phase("p", [task("t", { act: "gate" })])));
    await until(() => runs.length === 1, { what: "the gate" });
    await archived(id);
    await expect(rebuild(options())).rejects.toThrow(RebuildRefusedError);
    expect(await rebuild(options(true))).toMatchObject({ found: 1, open: 0, present: 1 });
    open();
    expect(story(await fleet.end(id), "t").filter((type) => type === "task.started")).toHaveLength(1);
  });

  test("a torn or tampered checkpoint is skipped and named, and what is before it serves", async () => {
    const id = await fleet.submit(planOf(phase("one", [task("a")]), phase("two", [task("b", { act: "gate" })])));
    const { act, open, runs } = gate();
    fleet.acts.set("gate", act);
    await until(() => runs.length === 1, { what: "the gate" });
    await archived(id);
    const names: string[] = [];
    for await (const { name } of fleet.archive.list(`open/${id}/`)) names.push(name);
    const checkpoint = names.find((name) => name.includes("phase_one_complete")) ?? "";
    const content = (await readObject(fleet.archive, checkpoint)) ?? Buffer.alloc(0);
    await fleet.archive.put(checkpoint, content.subarray(0, content.length / 2));
    await loseEverything();
    const report = await rebuild(options());
    expect(report.open).toBe(1);
    expect(report.unreadable.map(({ name }) => name)).toEqual([checkpoint]);
    open();
    expect((await fleet.end(id)).view.status).toBe("completed");
  });

  test("one that was killed is begun again, and a second total loss is survived as the first", async () => {
    const { act, open, runs } = gate();
    fleet.acts.set("gate", act);
    const ids = await Promise.all(
      Array.from({ length: 5 }, () => fleet.submit(planOf(phase("p", [task("t", { act: "gate" })])))),
    );
    await until(() => runs.length === 5, { what: "the gates" });
    await archived(...ids);
    await loseEverything();
    let seen = 0;
    const dies = rebuild({
      ...options(),
      onProgress: () => {
        if (++seen === 2) throw new Error("killed");
      },
    });
    await expect(dies).rejects.toThrow("killed");
    const report = await rebuild(options());
    expect(report.open + report.present).toBe(5);
    await until(() => runs.length >= 10, { what: "the gates again" });
    await archived(...ids);
    await loseEverything();
    expect(await rebuild(options())).toMatchObject({ open: 5, present: 0 });
    await until(() => runs.length >= 15, { what: "the gates for the third time" });
    open();
    for (const id of ids) expect((await fleet.end(id)).view.status).toBe("completed");
  });
});

describeRealRedis("the past", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeEach(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), hasArchive: true, retentionMs: 200 });
  });
  afterEach(async () => {
    await fleet.stop();
    await redis.stop();
  });

  test("a workflow that Redis has forgotten is answered from the archive, and to its tenant only", async () => {
    const run = await fleet.run(planOf(phase("p", [task("a", "x".repeat(5000)), task("b")])));
    await until(async () => (await fleet.keys(run.id)).length === 0, {
      timeoutMs: 20_000,
      what: "the end of its keys",
    });
    expect(await fleet.store.get(tenant, run.id)).toEqual(run.view);
    expect((await fleet.store.events(tenant, run.id, 0, 1000))?.events).toEqual(run.events);
    expect((await fleet.store.events(tenant, run.id, 3, 2))?.events).toEqual(run.events.slice(3, 5));
    expect((await fleet.store.task(tenant, run.id, "a"))?.task.output).toBe("x".repeat(5000));
    expect(await fleet.store.artifacts(tenant, run.id)).toEqual([]);
    for (const answer of [fleet.store.get("other", run.id), fleet.store.events("other", run.id, 0, 10)]) {
      expect(await answer).toBeUndefined();
    }
  });

  test("it is forked, and retried, as if it had never been forgotten", async () => {
    let attempts = 0;
    fleet.acts.set("fail once", () => {
      const error = { class: "data", code: "bad", message: "not yet" } as const;
      return Promise.resolve(++attempts === 1 ? { kind: "failed", error } : { kind: "completed", output: "now" });
    });
    const run = await fleet.run(planOf(phase("p", [task("a")]), phase("q", [task("b", { act: "fail once" })])));
    expect(run.view.status).toBe("failed");
    await until(async () => (await fleet.keys(run.id)).length === 0, {
      timeoutMs: 20_000,
      what: "the end of its keys",
    });
    const fork = await fleet.store.fork(tenant, run.id, { fromSeq: 1 });
    expect(fork?.kind).toBe("stored");
    expect(await fleet.store.fork("other", run.id, { fromSeq: 1 })).toBeUndefined();
    expect((await fleet.store.retry(tenant, run.id))?.kind).toBe("retried");
    expect((await fleet.end(run.id)).view).toMatchObject({ status: "completed", result: "now" });
  });
});
