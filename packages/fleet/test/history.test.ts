import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { ClaimLostError, type Doubt, type Executor, type WorkflowEvent } from "@flotilla/workflow";
import { afterAll, beforeEach, beforeAll, describe, expect, test } from "vitest";
import { Claims } from "../src/claims.ts";
import { phase, planOf, type Run, story, task, tenant, TestFleet } from "./fleet.ts";

/** Fails the first attempts of a task for good, and counts what was really done. */
function stubborn(fails: number, ran: string[]): Executor {
  return async ({ taskId, attempt }, journal) => {
    const known = await journal.load();
    if (known.length === 0) {
      ran.push(`${taskId} paid`);
      await journal.record({ key: "paid", inputHash: "", result: "receipt" });
    }
    ran.push(`${taskId} ${attempt}`);
    const error = { class: "data", code: "bad", message: "not yet" } as const;
    return attempt <= fails ? { kind: "failed", error } : { kind: "completed", output: `${taskId} at last` };
  };
}

const doubt: Doubt = { step: "pay", tool: "payments", key: "k", argumentsBytes: 2, argumentsHash: "" };

describeRealRedis("going on from what was done", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  let ran: string[];
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
  });
  beforeEach(() => {
    ran = [];
    fleet.acts.set("counted", stubborn(0, ran));
    fleet.acts.set("fails once", stubborn(1, ran));
    fleet.acts.set("fails twice", stubborn(2, ran));
  });
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  const openItem = async (workflowId: string) =>
    (await fleet.store.inbox.list({ tenant, workflowId, limit: 1 }))?.items[0];

  const request = planOf(
    phase("first", [task("a", { act: "counted" })]),
    phase("second", [task("b", { act: "fails once" })]),
    phase("third", [task("c", "{{tasks.a.output}}, {{tasks.b.output}}")]),
  );

  async function forked(source: string, fromSeq: number, input?: string): Promise<Run> {
    const outcome = await fleet.store.fork(tenant, source, input === undefined ? { fromSeq } : { fromSeq, input });
    if (outcome?.kind !== "stored") throw new Error(`not forked: ${JSON.stringify(outcome)}`);
    return fleet.end(outcome.id);
  }

  const seqOf = ({ events }: Run, type: WorkflowEvent["type"], taskId?: string) =>
    events.find((event) => event.type === type && (!taskId || ("taskId" in event && event.taskId === taskId)))?.seq ??
    0;

  test("failed work is listed newest first, of either kind, until it goes on", async () => {
    fleet.acts.set("aborts", async () => ({ kind: "failed", error: { class: "critical", code: "no", message: "" } }));
    const tags = { of: "this-test" };
    const failed = await fleet.run({ ...request, tags });
    const aborted = await fleet.run({ ...planOf(phase("p", [task("x", { act: "aborts" })])), tags });
    await fleet.run({ ...planOf(phase("p", [task("y")])), tags });
    const listed = async (limit: number, cursor?: string) => {
      const query = { tenant, tag: { key: "of", value: "this-test" }, limit, ...(cursor !== undefined && { cursor }) };
      return fleet.store.failures(query);
    };
    const first = await listed(1);
    const second = await listed(1, first?.cursor);
    const both = [...(first?.failures ?? []), ...(second?.failures ?? [])];
    expect(both.map(({ id, status }) => [id, status])).toEqual([
      [aborted.id, "aborted"],
      [failed.id, "failed"],
    ]);
    expect(both[1]).toMatchObject({ error: { code: "bad" }, task: { id: "b", agent: "worker", attempts: 1 } });
    expect(both[1]?.events.at(-1)?.type).toBe("workflow.failed");
    expect(second?.cursor).toBeUndefined();
    await fleet.store.retry(tenant, failed.id);
    await fleet.end(failed.id);
    expect((await listed(10))?.failures.map(({ id }) => id)).toEqual([aborted.id]);
  });

  describe("retry", () => {
    test("goes on from the task that failed: what is completed and what was paid for is not done again", async () => {
      const first = await fleet.run(request);
      expect(first.view).toMatchObject({ status: "failed", error: { taskId: "b" } });
      expect(await fleet.store.retry(tenant, first.id)).toEqual({ kind: "retried", status: "running" });
      const run = await fleet.end(first.id);
      expect(run.view).toMatchObject({ status: "completed", result: "a at last, b at last" });
      expect(run.view).not.toHaveProperty("error");
      expect(run.view.tasks.map(({ attempt }) => attempt)).toEqual([1, 2, 1]);
      expect(ran).toEqual(["a paid", "a 1", "b paid", "b 1", "b 2"]);
      expect(run.events.slice(0, first.events.length)).toEqual(first.events);
      expect(run.events[first.events.length]?.type).toBe("retry.requested");
      expect(run.events.map(({ seq }) => seq)).toEqual(run.events.map((_, at) => at + 1));
    });

    test("can be asked for again and again, each time with all attempts of the task", async () => {
      const id = await fleet.submit(planOf(phase("p", [task("a", { act: "fails twice" })])));
      for (const attempt of [1, 2]) {
        expect((await fleet.end(id)).view).toMatchObject({ status: "failed", tasks: [{ attempt }] });
        expect((await fleet.store.retry(tenant, id))?.kind).toBe("retried");
      }
      expect((await fleet.end(id)).view).toMatchObject({ status: "completed", tasks: [{ attempt: 3 }] });
    });

    test("opens an aborted workflow with all that the abort cut off", async () => {
      let isCritical = true;
      const stopped = Promise.withResolvers<void>();
      fleet.acts.set("critical once", async () => {
        await until(() => ran.includes("held 1"));
        const error = { class: "critical", code: "no", message: "no" } as const;
        return isCritical ? { kind: "failed", error } : { kind: "completed", output: 1 };
      });
      fleet.acts.set("held once", async ({ taskId, attempt }, _, signal) => {
        ran.push(`${taskId} ${attempt}`);
        if (attempt > 1) return { kind: "completed", output: attempt };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        stopped.resolve();
        return { kind: "completed", output: "late" };
      });
      const tasks = [
        task("critical", { act: "critical once" }, { onFailure: "continue" }),
        task("held", { act: "held once" }),
      ];
      const { id, view } = await fleet.run(planOf(phase("p", tasks)));
      expect(view.status).toBe("aborted");
      isCritical = false;
      await fleet.store.retry(tenant, id);
      const run = await fleet.end(id);
      await stopped.promise;
      expect(run.view).toMatchObject({ status: "completed", result: { critical: 1, held: 2 } });
      expect(story(run, "held").filter((type) => type === "task.completed")).toHaveLength(1);
    });

    test("a worker that stood still over the failure and the retry writes nothing into what goes on", async () => {
      // Of that type there is no worker yet: the test is the one that stands still.
      const held = { id: "held", agent: "nobody", input: { act: "counted" } };
      const plan = planOf(phase("p", [held, task("b", { act: "waits, then fails once" })]));
      const claimed = Promise.withResolvers<void>();
      fleet.acts.set("waits, then fails once", async (claim, journal, signal) => {
        await claimed.promise;
        return stubborn(1, ran)(claim, journal, signal);
      });
      const id = await fleet.submit(plan);
      const { scripts, blobs } = fleet;
      const claims = new Claims({ scripts, blobs, worker: "zombie", onRefused: () => undefined });
      const claim = await until(async () => {
        const job = { workflowId: id, taskId: "held", attempt: 1, dispatch: 1 };
        const answer = await claims.claim(job, "zombie");
        return typeof answer === "string" ? undefined : answer;
      });
      claimed.resolve();
      expect((await fleet.end(id)).view.status).toBe("failed");
      expect((await fleet.store.retry(tenant, id))?.kind).toBe("retried");
      const late = { kind: "completed", output: "zombie" } as const;
      expect(await claims.renew(claim)).toBe("superseded");
      expect(await claims.record(claim, late)).toBeUndefined();
      await expect(claims.journal(claim).progress("zombie")).rejects.toThrow(ClaimLostError);
      await fleet.addWorker("alive", ["nobody"]);
      const run = await fleet.end(id);
      expect(await claims.record(claim, late)).toBeUndefined();
      expect(run.view).toMatchObject({ status: "completed", result: { held: "held at last", b: "b at last" } });
      expect(story(run, "held").filter((type) => type === "task.completed")).toHaveLength(1);
    });

    test("a task that waited for a person is run again, and its item is closed for good", async () => {
      fleet.acts.set("in doubt once", async ({ attempt }) =>
        attempt === 1 ? { kind: "parked", doubt } : { kind: "completed", output: "sure" },
      );
      const seen = Promise.withResolvers<void>();
      fleet.acts.set("fails once the item is seen", async (claim, journal, signal) => {
        await seen.promise;
        return stubborn(1, ran)(claim, journal, signal);
      });
      const tasks = [task("a", { act: "in doubt once" }), task("b", { act: "fails once the item is seen" })];
      const id = await fleet.submit(planOf(phase("p", tasks)));
      const item = await until(() => openItem(id));
      seen.resolve();
      expect((await fleet.end(id)).view.status).toBe("failed");
      expect(await openItem(id)).toBeUndefined();
      await fleet.store.retry(tenant, id);
      const said = await fleet.store.inbox.settle(tenant, item.id, { decision: "fail" }, "me");
      expect(said).toEqual({ kind: "already-settled" });
      expect((await fleet.end(id)).view).toMatchObject({ status: "completed", result: { a: "sure", b: "b at last" } });
    });

    test("is refused for what is not failed or aborted, and unknown for another tenant", async () => {
      const { id } = await fleet.run(planOf(phase("p", [task("a")])));
      expect(await fleet.store.retry(tenant, id)).toEqual({ kind: "refused", status: "completed" });
      expect(await fleet.store.retry("other", id)).toBeUndefined();
    });

    test("a stream that is open over the retry goes on, and a new one begins where the ended one was", async () => {
      const first = await fleet.run(planOf(phase("p", [task("b", { act: "fails once" })])));
      await fleet.store.retry(tenant, first.id);
      const after = first.events.length;
      const seqs: number[] = [];
      const batches = await fleet.store.follow(tenant, first.id, after, AbortSignal.timeout(20_000));
      for await (const batch of batches ?? []) seqs.push(...batch.map(({ seq }) => seq));
      expect(seqs[0]).toBe(after + 1);
      expect(seqs).toEqual(seqs.map((_, at) => after + 1 + at));
      expect((await fleet.store.get(tenant, first.id))?.status).toBe("completed");
    });
  });

  describe("fork", () => {
    test("shares what was done, and does the rest anew, with another input", async () => {
      const source = await fleet.run({
        ...planOf(
          phase("first", [task("a", { act: "counted" })]),
          phase("second", [task("b", "{{tasks.a.output}} for {{input}}")]),
        ),
        input: "one",
        tags: { team: "blue" },
        priority: "high",
      });
      expect(source.view.result).toBe("a at last for one");
      const at = seqOf(source, "task.completed", "a");
      const fork = await forked(source.id, at, "two");
      expect(fork.id).not.toBe(source.id);
      expect(fork.view).toMatchObject({
        status: "completed",
        input: "two",
        result: "a at last for two",
        priority: "high",
        tags: { team: "blue" },
      });
      expect(ran).toEqual(["a paid", "a 1"]);
      expect(fork.events.slice(1, at)).toEqual(source.events.slice(1, at));
      expect(fork.events[0]).toMatchObject({
        type: "workflow.submitted",
        data: { forkedFrom: { id: source.id, seq: at, at: Date.parse(fork.view.createdAt) } },
      });
      expect(Date.parse(fork.view.createdAt)).toBeGreaterThanOrEqual(Date.parse(source.view.endedAt ?? ""));
      const listed = await fleet.store.list({ tenant, tag: { key: "team", value: "blue" }, limit: 10 });
      expect(listed?.workflows.map(({ id }) => id)).toEqual([fork.id, source.id]);
      expect(listed?.workflows[0]).toMatchObject({ status: "completed", createdAt: fork.view.createdAt });
      expect((await fleet.store.get(tenant, source.id))?.result).toBe("a at last for one");
    });

    test("from each place of a log that it may begin at, it completes with the same result", async () => {
      fleet.acts.set("fails once", async ({ attempt }) => {
        const error = { class: "transient", code: "bad", message: "not yet" } as const;
        return attempt === 1 ? { kind: "failed", error } : { kind: "completed", output: "x".repeat(5000) };
      });
      const soon = { retry: { attempts: 2, backoffMs: 1 } };
      const source = await fleet.run(
        planOf(
          phase("p", [task("a", { act: "fails once" }, soon), task("b")]),
          phase("q", [task("c", "{{tasks.a.output}}{{tasks.b.output}}")]),
        ),
      );
      expect(source.view.status).toBe("completed");
      const places = source.events.slice(0, -1).map(({ seq }) => seq);
      const forks = await Promise.all(places.map((place) => forked(source.id, place)));
      forks.forEach((fork, index) => {
        expect([places[index], fork.view.status]).toEqual([places[index], "completed"]);
        expect(fork.events.map(({ seq }) => seq)).toEqual(fork.events.map((_, at) => at + 1));
      });
      const outputs = await Promise.all(forks.map(({ id }) => fleet.store.task(tenant, id, "c")));
      for (const output of outputs) expect(output?.task.output).toBe(`${"x".repeat(5000)}b`);
    });

    test("of a running workflow leaves that as it is, and takes nothing over that is not finished", async () => {
      const release = Promise.withResolvers<void>();
      fleet.acts.set("hang", async ({ workflowId, attempt, claim }, journal) => {
        ran.push(workflowId);
        const known = await journal.load();
        await journal.record({ key: "one", inputHash: "", result: 1 });
        if (ran.length === 1) await release.promise;
        return { kind: "completed", output: [known.length, attempt, claim] };
      });
      const id = await fleet.submit(planOf(phase("p", [task("a", { act: "hang" })])));
      await until(async () => (await fleet.types(id)).includes("task.started") && ran.length === 1);
      const tip = (await fleet.types(id)).length;
      const fork = await forked(id, tip);
      // The journal is not shared; the attempt is, and this is the second claim of it.
      expect(fork.view).toMatchObject({ status: "completed", result: [0, 1, 2] });
      expect(story(fork, "a").slice(0, 3)).toEqual(["task.scheduled", "task.started", "task.released"]);
      release.resolve();
      expect((await fleet.end(id)).view).toMatchObject({ status: "completed", result: [0, 1, 1] });
    });

    test("of one that waits for a person asks nobody for what the source asked, and what was said there holds", async () => {
      fleet.acts.set("in doubt", async ({ workflowId, claim }) => {
        ran.push(workflowId);
        return ran.length === 1 ? { kind: "parked", doubt } : { kind: "completed", output: claim };
      });
      const id = await fleet.submit(planOf(phase("p", [task("a", { act: "in doubt" })])));
      const item = await until(() => openItem(id));
      await until(async () => (await fleet.types(id)).includes("workflow.waiting"));
      const waiting = await forked(id, (await fleet.types(id)).length);
      expect(waiting.view).toMatchObject({ status: "completed", result: 2 });
      expect(await openItem(id)).toEqual(item);
      await fleet.store.inbox.settle(tenant, item.id, { decision: "not-happened" }, "me");
      const source = await fleet.end(id);
      expect(source.view.status).toBe("completed");
      const settled = await forked(id, seqOf(source, "item.settled"));
      expect(settled.view).toMatchObject({ status: "completed", result: 2 });
      expect(story(settled, "a")).toEqual(story(source, "a"));
    });

    test("from behind the failure it runs the failed task anew, as a retry with another input would", async () => {
      const source = await fleet.run(request);
      const fork = await forked(source.id, source.events.length - 1);
      expect(fork.view).toMatchObject({ status: "completed", result: "a at last, b at last" });
      expect((await fleet.store.get(tenant, source.id))?.status).toBe("failed");
    });

    test("can itself be forked, retried and forgotten", async () => {
      const source = await fleet.run(request);
      const at = seqOf(source, "task.completed", "a");
      fleet.acts.set("fails once", stubborn(2, ran));
      const fork = await forked(source.id, at);
      expect(fork.view.status).toBe("failed");
      const again = await forked(fork.id, at);
      expect(again.events[0]).toMatchObject({ data: { forkedFrom: { id: fork.id } } });
      fleet.acts.set("fails once", stubborn(1, ran));
      await fleet.store.retry(tenant, fork.id);
      expect((await fleet.end(fork.id)).view).toMatchObject({ status: "completed", result: "a at last, b at last" });
    });

    test("waits for admission where the source had not been started there", async () => {
      const source = await fleet.run(planOf(phase("p", [task("a")])));
      const outcome = await fleet.store.fork(tenant, source.id, { fromSeq: 1 });
      expect(outcome).toMatchObject({ kind: "stored", status: "queued" });
      const run = await fleet.end(outcome?.kind === "stored" ? outcome.id : "");
      expect(run.events.map(({ type }) => type)).toEqual(source.events.map(({ type }) => type));
    });

    test("under one key is one workflow, and a conflict when the body differs", async () => {
      const source = await fleet.run(planOf(phase("p", [task("a")])));
      const key = (bodyHash: string) => ({ key: "fork", bodyHash });
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => fleet.store.fork(tenant, source.id, { fromSeq: 3 }, key("b"))),
      );
      const ids = new Set(answers.map((answer) => (answer?.kind === "unforkable" ? "" : answer?.id)));
      expect(ids.size).toBe(1);
      expect(answers.filter((answer) => answer?.kind === "stored")).toHaveLength(1);
      const [id] = ids;
      const other = await fleet.store.fork(tenant, source.id, { fromSeq: 4 }, key("c"));
      expect(other).toEqual({ kind: "conflict", id });
      // A key says what is repeated of one call on one workflow.
      expect(await fleet.store.fork(tenant, id ?? "", { fromSeq: 3 }, key("b"))).toMatchObject({ kind: "stored" });
    });

    test("there is none from the end, beyond it, or of another tenant's workflow", async () => {
      const source = await fleet.run(planOf(phase("p", [task("a")])));
      const last = source.events.length;
      for (const fromSeq of [last, last + 1, 1_000_000]) {
        expect(await fleet.store.fork(tenant, source.id, { fromSeq })).toEqual({
          kind: "unforkable",
          largest: last - 1,
        });
      }
      expect(await fleet.store.fork("other", source.id, { fromSeq: 1 })).toBeUndefined();
      expect(await fleet.store.fork(tenant, `wf_00_${"0".repeat(26)}`, { fromSeq: 1 })).toBeUndefined();
    });
  });
});
