import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { ClaimedTask, Failure } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { phase, planOf, statuses, task, tenant, TestFleet } from "./fleet.ts";

const failure = (failureClass: Failure["class"], more: Partial<Failure> = {}): Failure => ({
  class: failureClass,
  code: "code",
  message: "as told",
  ...more,
});

describeRealRedis("what is done about failures", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  const runs: ClaimedTask[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
    fleet.acts.set("fail-as-worker", async (claimed, journal) => {
      runs.push(claimed);
      const key = `${claimed.scope ?? ""}step`;
      await journal.record({ key, inputHash: claimed.agent, result: { value: claimed.agent } });
      if (claimed.agent === "worker") return { kind: "failed", error: failure("transient") };
      return { kind: "completed", output: `done by ${claimed.agent}` };
    });
    fleet.acts.set("bad-data", async ({ attempt }) =>
      attempt > 1 ? { kind: "completed", output: attempt } : { kind: "failed", error: failure("data") },
    );
    fleet.acts.set("rate", async ({ attempt }) =>
      attempt > 1
        ? { kind: "completed", output: attempt }
        : { kind: "failed", error: failure("rate-limit", { retryAfterMs: 1500 }) },
    );
  });
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  const retry = { attempts: 2, backoffMs: 1 };

  test("when its attempts are spent, the fallback takes a task over with attempts and steps of its own", async () => {
    const { view, events } = await fleet.run(
      planOf(
        phase("p", [task("a", { act: "fail-as-worker" }, { fallback: "planner", retry })]),
        phase("q", [task("b", "{{tasks.a.output}}")]),
      ),
    );
    expect(view).toMatchObject({ status: "completed", result: "done by planner" });
    expect(view.tasks[0]).toMatchObject({ agent: "planner", status: "completed", attempt: 3 });
    const own = runs.filter(({ workflowId }) => workflowId === view.id);
    expect(own.map(({ agent, attempt }) => [agent, attempt])).toEqual([
      ["worker", 1],
      ["worker", 2],
      ["planner", 3],
    ]);
    expect(own.map(({ scope }) => scope)).toEqual([undefined, undefined, "##planner/"]);
    const retrying = events.filter(({ type }) => type === "task.retrying");
    expect(retrying.map(({ data }) => Object(data).agent)).toEqual([undefined, "planner"]);
  });

  test("a fallback takes over from bad data at once, and only once", async () => {
    const fine = await fleet.run(planOf(phase("p", [task("a", { act: "bad-data" }, { fallback: "worker" })])));
    expect(fine.view).toMatchObject({ status: "completed", result: 2, tasks: [{ attempt: 2 }] });
    fleet.acts.set("always-bad", async () => ({ kind: "failed", error: failure("data") }));
    const bad = await fleet.run(planOf(phase("p", [task("a", { act: "always-bad" }, { fallback: "planner" })])));
    expect(bad.view).toMatchObject({ status: "failed", tasks: [{ agent: "planner", attempt: 2, status: "failed" }] });
  });

  test("a fallback has the rights of its own type: one that may not plan appends nothing", async () => {
    fleet.acts.set("append", async ({ agent }) =>
      agent === "planner"
        ? { kind: "failed", error: failure("data") }
        : { kind: "completed", output: null, append: [phase("more", [task("more")])] },
    );
    const main = { id: "a", agent: "planner", input: { act: "append" }, fallback: "worker" };
    const { view } = await fleet.run(planOf(phase("p", [main])));
    expect(view).toMatchObject({ status: "failed", error: { code: "invalid-plan" } });
  });

  test("no attempt follows a rate limit sooner than the other side asks", async () => {
    const { view, events } = await fleet.run(planOf(phase("p", [task("a", { act: "rate" }, { retry })])));
    expect(view.status).toBe("completed");
    const at = (type: string, place: number) => events.filter((event) => event.type === type)[place]?.at ?? Number.NaN;
    expect(at("task.started", 1) - at("task.failed", 0)).toBeGreaterThanOrEqual(1500);
  });

  test.each([
    ["retry", "completed", { a: "completed", b: "completed" }],
    ["skip", "completed", { a: "failed", b: "completed" }],
    ["abort", "aborted", { a: "failed", b: "cancelled" }],
  ] as const)("a person whom a failure is put to says %s, and the workflow is %s", async (decision, status, tasks) => {
    const escalated = task("a", { act: "bad-data" }, { recovery: { data: "escalate" } });
    const id = await fleet.submit(planOf(phase("p", [escalated]), phase("q", [task("b", "{{tasks.a.output}}")])));
    await until(async () => (await fleet.store.get(tenant, id))?.status === "waiting", {
      what: "a workflow that waits",
    });
    const { items = [] } = (await fleet.store.inbox.list({ tenant, workflowId: id, limit: 10 })) ?? {};
    expect(items).toMatchObject([
      {
        kind: "escalation",
        taskId: "a",
        decisions: ["retry", "skip", "abort"],
        detail: { error: { class: "data", code: "code" }, attempts: 1 },
      },
    ]);
    const answers = await Promise.all(
      [1, 2].map(() => fleet.store.inbox.settle(tenant, items[0]?.id ?? "", { decision }, "00000000")),
    );
    expect(answers.filter(({ kind }) => kind === "settled").length).toBeGreaterThanOrEqual(1);
    const run = await fleet.end(id);
    expect(run.view.status).toBe(status);
    expect(statuses(run)).toEqual(tasks);
    expect(run.events.filter(({ type }) => type === "item.settled")).toHaveLength(1);
  });
});
