import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { type Executor, type Failure, type Json, SharedRecord, type TaskRequest } from "@flotilla/workflow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { tagOf } from "../src/keys.ts";
import { phase, planOf, type Run, statuses, story, task, tenant, TestFleet } from "./fleet.ts";

const failing =
  (error: Failure, attempts = Infinity): Executor =>
  async ({ attempt }) =>
    attempt <= attempts ? { kind: "failed", error } : { kind: "completed", output: attempt };

/** The place of the first event of that type in the log; of one task if given. */
function seqOf({ events }: Run, type: string, taskId?: string): number {
  const found = events.find(
    (event) => event.type === type && (taskId === undefined || ("taskId" in event && event.taskId === taskId)),
  );
  if (!found) throw new Error(`no ${type} of ${taskId}`);
  return found.seq;
}

describeRealRedis("workflows from submit to result", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
  });
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  describe("order", () => {
    test("tasks of a sequential phase start one after the other", async () => {
      const run = await fleet.run(
        planOf(
          phase(
            "p",
            ["a", "b", "c"].map((id) => task(id)),
            { parallel: false },
          ),
        ),
      );
      expect(run.view).toMatchObject({ status: "completed", result: { a: "a", b: "b", c: "c" }, phase: null });
      expect(seqOf(run, "task.started", "b")).toBeGreaterThan(seqOf(run, "task.completed", "a"));
      expect(seqOf(run, "task.started", "c")).toBeGreaterThan(seqOf(run, "task.completed", "b"));
    });

    test("tasks of a parallel phase run at the same time, and the next phase after all of them", async () => {
      const inside = new Set<string>();
      fleet.acts.set("meet", async ({ taskId }) => {
        inside.add(taskId);
        await until(() => inside.size === 3);
        return { kind: "completed", output: taskId };
      });
      const meeting = ["a", "b", "c"].map((id) => task(id, { act: "meet" }));
      const run = await fleet.run(planOf(phase("p", meeting), phase("q", [task("d")])));
      expect(run.view).toMatchObject({ status: "completed", result: "d" });
      for (const id of ["a", "b", "c"]) {
        expect(seqOf(run, "task.started", "d")).toBeGreaterThan(seqOf(run, "task.completed", id));
      }
    });

    test("a task with dependsOn waits for exactly those, of whatever phase", async () => {
      const opened = Promise.withResolvers<void>();
      fleet.acts.set("wait", async () => {
        await opened.promise;
        return { kind: "completed", output: "slow" };
      });
      fleet.acts.set("open", async () => {
        opened.resolve();
        return { kind: "completed", output: "opened" };
      });
      // The slow task of the first phase ends only because one of the second has run.
      const request = planOf(
        phase("p", [task("fast"), task("slow", { act: "wait" })]),
        phase("q", [task("early", { act: "open" }, { dependsOn: ["fast"] }), task("late")]),
      );
      const run = await fleet.run(request);
      expect(run.view.status).toBe("completed");
      expect(seqOf(run, "task.started", "early")).toBeLessThan(seqOf(run, "task.completed", "slow"));
      expect(seqOf(run, "task.started", "late")).toBeGreaterThan(seqOf(run, "task.completed", "slow"));
    });

    test("no more tasks run at once than the workflow and the phase allow", async () => {
      let running = 0;
      let most = 0;
      let allowed = 3;
      fleet.acts.set("count", async () => {
        most = Math.max(most, ++running);
        // As many as may run are waited for, and one more has a moment to show itself.
        await until(() => most >= allowed);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
        return { kind: "completed", output: null };
      });
      const tasks = (name: string) => Array.from({ length: 8 }, (_, n) => task(`${name}${n}`, { act: "count" }));
      await fleet.run({ ...planOf(phase("p", tasks("p"))), concurrency: 3 });
      expect(most).toBe(3);
      [most, allowed] = [0, 2];
      await fleet.run(planOf(phase("p", tasks("p"), { concurrency: 2 })));
      expect(most).toBe(2);
    });

    test("a thousand parallel tasks in one workflow complete, and the log has no gap", async () => {
      const tasks = Array.from({ length: 1000 }, (_, n) => task(`t${n}`, n));
      const run = await fleet.run(planOf(phase("fan", tasks), phase("end", [task("end", "{{tasks.t999.output}}")])));
      expect(run.view).toMatchObject({ status: "completed", result: 999 });
      expect(new Set(Object.values(statuses(run)))).toEqual(new Set(["completed"]));
      expect(run.events.map(({ seq }) => seq)).toEqual(run.events.map((_, index) => index + 1));
      expect(run.events.filter(({ type }) => type === "task.started")).toHaveLength(1001);
    });

    test("an agent that may plan appends phases, and any other fails for it", async () => {
      fleet.acts.set("plan", async () => ({
        kind: "completed",
        output: "planned",
        append: [phase("more", [task("more")])],
      }));
      const main = (agent: string) => planOf(phase("p", [{ id: "main", agent, input: { act: "plan" } }]));
      const planned = await fleet.run(main("planner"));
      expect(planned.view).toMatchObject({
        status: "completed",
        result: "more",
        plan: { phases: [{ name: "p" }, { name: "more" }] },
      });
      const refused = await fleet.run(main("worker"));
      expect(refused.view).toMatchObject({
        status: "failed",
        error: { class: "data", code: "invalid-plan", taskId: "main" },
      });
    });
  });

  describe("a plan that cannot run", () => {
    const nonsense = [phase("more", [task("main"), task("x", null, { agent: "nobody" })])];
    const planning = (extra: Partial<TaskRequest> = {}) =>
      planOf(phase("p", [{ id: "main", agent: "planner", input: { act: "plan" }, ...extra }]));
    const revised = ({ events }: Run) =>
      events.flatMap((event) => (event.type === "task.retrying" ? [event.data.revision?.number] : []));

    test("goes back to the planner with all that is wrong, and what it appends then runs", async () => {
      const told: unknown[] = [];
      fleet.acts.set("plan", async ({ revision, attempt }) => {
        told.push([attempt, revision?.number, revision?.problems.map(({ path }) => path)]);
        const append =
          (revision?.number ?? 0) < 2 ? nonsense : [phase("more", [task("more", "{{tasks.main.output}}")])];
        // The log holds small outputs, and what is beside it large ones: the last is the one that counts.
        return { kind: "completed", output: revision ? "planned" : "x".repeat(2000), append };
      });
      const run = await fleet.run(planning({ retry: { attempts: 1, backoffMs: 0 } }));
      expect(run.view).toMatchObject({ status: "completed", result: "planned" });
      const paths = ["/append/0/tasks/0/id", "/append/0/tasks/1/agent"];
      expect(told).toEqual([
        [1, undefined, undefined],
        [2, 1, paths],
        [3, 2, paths],
      ]);
      expect(revised(run)).toEqual([1, 2]);
    });

    test("fails it with class data the third time; a retry and a fork tell it what was wrong the last time", async () => {
      const told = new Map<string, unknown[]>();
      fleet.acts.set("plan", async ({ workflowId, revision }) => {
        told.set(workflowId, [...(told.get(workflowId) ?? []), revision?.number]);
        return { kind: "completed", output: null, append: revision && revision.number > 2 ? [] : nonsense };
      });
      const run = await fleet.run(planning());
      expect(run.view).toMatchObject({
        status: "failed",
        error: { class: "data", code: "invalid-plan", taskId: "main" },
      });
      const forked = await fleet.store.fork(tenant, run.id, { fromSeq: seqOf(run, "task.retrying") });
      if (forked?.kind !== "stored") throw new Error("no fork");
      expect((await fleet.end(forked.id)).view.status).toBe("failed");
      await fleet.store.retry(tenant, run.id);
      expect((await fleet.end(run.id)).view.status).toBe("completed");
      expect(told.get(forked.id)).toEqual([1, 2]);
      expect(told.get(run.id)).toEqual([undefined, 1, 2, 3]);
    });

    test("is put to a person after that where the table says so, who may have the planner try once more", async () => {
      fleet.acts.set("plan", async ({ revision }) => ({
        kind: "completed",
        output: null,
        append: revision?.number === 3 ? [phase("more", [task("more")])] : nonsense,
      }));
      const id = await fleet.submit(planning({ recovery: { data: "escalate" } }));
      await until(async () => (await fleet.store.get(tenant, id))?.status === "waiting", { what: "an item" });
      const { items = [] } = (await fleet.store.inbox.list({ tenant, workflowId: id, limit: 10 })) ?? {};
      expect(items).toMatchObject([{ kind: "escalation", detail: { error: { code: "invalid-plan" }, attempts: 3 } }]);
      await fleet.store.inbox.settle(tenant, items[0]?.id ?? "", { decision: "retry" }, "00000000");
      expect((await fleet.end(id)).view).toMatchObject({ status: "completed", result: "more" });
    });
  });

  describe("what agents share", () => {
    const add =
      (more: number): Executor =>
      async (_, journal) => {
        const access = async (key: string, change?: { version: number; value: Json }) => {
          const entry = await journal.share({ key, inputHash: "h", name: "total", ...(change && { change }) });
          const { value } = z.object({ value: SharedRecord }).parse(entry?.result);
          return value;
        };
        let seen = await access("see");
        for (let turn = 0; !seen.isSet; turn++) {
          seen = await access(`set ${turn}`, { version: seen.version, value: Number(seen.value) + more });
        }
        return { kind: "completed", output: seen.value };
      };
    const adding = (...ids: string[]) =>
      phase(
        ids.join("-"),
        ids.map((id) => task(id, { act: "add" })),
      );

    test("twenty at once add to one number, and nothing is lost", async () => {
      fleet.acts.set("add", add(1));
      const ids = Array.from({ length: 20 }, (_, at) => `t${at}`);
      const run = await fleet.run(planOf(adding(...ids), adding("last")));
      expect(run.view).toMatchObject({ status: "completed", result: 21 });
      expect(run.events.filter(({ type }) => type === "state.changed")).toHaveLength(21);
    });

    test("a retry and a fork go on from what there was", async () => {
      let isBroken = true;
      fleet.acts.set("add", add(1));
      fleet.acts.set("break", async () =>
        isBroken
          ? { kind: "failed", error: { class: "data", code: "code", message: "message" } }
          : { kind: "completed", output: null },
      );
      const run = await fleet.run(planOf(adding("a"), phase("b", [task("b", { act: "break" })]), adding("c")));
      expect(run.view.status).toBe("failed");
      isBroken = false;
      const fork = await fleet.store.fork(tenant, run.id, { fromSeq: seqOf(run, "task.started", "b") });
      if (fork?.kind !== "stored") throw new Error("no fork");
      await fleet.store.retry(tenant, run.id);
      for (const id of [run.id, fork.id]) {
        expect((await fleet.end(id)).view).toMatchObject({ status: "completed", result: 2 });
      }
    });
  });

  describe("templates", () => {
    test("a template alone takes the value with its type, inside a text it becomes text", async () => {
      const value: Json = { n: 5, list: [1, { deep: true }], text: "t", none: null };
      const whole = (path: string) => `{{tasks.a.output${path}}}`;
      const input = {
        object: whole(""),
        number: whole(".n"),
        item: whole(".list.1.deep"),
        none: whole(".none"),
        text: `n=${whole(".n")} list=${whole(".list")} text=${whole(".text")}`,
        input: "{{input.name}}",
      };
      const request = planOf(phase("p", [task("a", value), task("b", input)], { parallel: false }));
      const run = await fleet.run({ ...request, input: { name: "Ada" } });
      expect(run.view.result).toMatchObject({
        b: {
          object: value,
          number: 5,
          item: true,
          none: null,
          text: 'n=5 list=[1,{"deep":true}] text=t',
          input: "Ada",
        },
      });
    });

    test("a path that is not there fails the task, class data, without a second try", async () => {
      const run = await fleet.run(
        planOf(phase("p", [task("a", {})]), phase("q", [task("b", "{{tasks.a.output.no}}")])),
      );
      expect(run.view).toMatchObject({ status: "failed", error: { class: "data", code: "missing-path", taskId: "b" } });
      expect(story(run, "b")).toEqual(["task.scheduled", "task.started", "task.failed"]);
    });
  });

  describe("outputs", () => {
    const places = [
      { bytes: 500, isLogged: true, kept: undefined },
      { bytes: 10_240, isLogged: false, kept: "=" },
      { bytes: 102_400, isLogged: false, kept: "@" },
      { bytes: 5_242_880, isLogged: false, kept: "@" },
    ];

    test.each(places)(
      "of $bytes bytes is read whole by the next task and by the client",
      async ({ bytes, isLogged, kept }) => {
        const text = "x".repeat(bytes - 2);
        let isWhole = false;
        fleet.acts.set("big", async () => ({ kind: "completed", output: text }));
        fleet.acts.set("read", async ({ input }) => {
          isWhole = (input as { text: string }).text === text;
          return { kind: "completed", output: "read" };
        });
        const read = task("read", { act: "read", text: "{{tasks.big.output}}" });
        const run = await fleet.run(planOf(phase("p", [task("big", { act: "big" })]), phase("q", [read])));
        expect(isWhole).toBe(true);
        const completed = run.events.find((event) => event.type === "task.completed" && event.taskId === "big");
        expect(completed?.data).toMatchObject({ outputBytes: bytes });
        expect("output" in (completed?.data ?? {})).toBe(isLogged);
        const beside = await fleet.connection.hget(`${tagOf(run.id)}:wf:${run.id}:out`, "big");
        expect(beside?.slice(0, 1)).toBe(kept);
        const whole = await fleet.store.task(tenant, run.id, "big");
        expect(whole?.task.output === text && whole.settled).toBe(true);
        const inList = run.view.tasks.find(({ id }) => id === "big");
        expect(inList).toMatchObject({ outputBytes: bytes });
        expect(inList?.output !== undefined).toBe(bytes <= 4096);
      },
    );

    test("many large ones reach one task, beyond what its claim answers inline", async () => {
      const texts = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`t${n}`, `${n}`.repeat(25_000)]));
      let got: Json = null;
      fleet.acts.set("gather", async ({ input }) => {
        got = (input as { all: Json }).all;
        return { kind: "completed", output: null };
      });
      const all = Object.keys(texts).map((id) => `{{tasks.${id}.output}}`);
      const fan = phase(
        "p",
        Object.entries(texts).map(([id, text]) => task(id, text)),
      );
      await fleet.run(planOf(fan, phase("q", [task("gather", { act: "gather", all })])));
      expect(JSON.stringify(got) === JSON.stringify(Object.values(texts))).toBe(true);
    });
  });

  describe("failures", () => {
    const transient: Failure = { class: "transient", code: "busy", message: "try later" };

    test("a transient one is tried again after a growing wait, and told to whoever reads the log", async () => {
      fleet.acts.set("twice", failing(transient, 2));
      const run = await fleet.run(
        planOf(phase("p", [task("a", { act: "twice" }, { retry: { attempts: 3, backoffMs: 40 } })])),
      );
      expect(run.view).toMatchObject({ status: "completed", result: 3, tasks: [{ attempt: 3 }] });
      expect(story(run, "a").filter((type) => type === "task.retrying")).toHaveLength(2);
      const waits = run.events.flatMap((event) =>
        event.type === "task.retrying" ? [event.data.notBefore - event.at] : [],
      );
      expect(waits[0]).toBeGreaterThanOrEqual(38);
      expect(waits[1]).toBeGreaterThanOrEqual(78);
      for (const event of run.events) {
        if (event.type !== "task.retrying") continue;
        const next = run.events.find((later) => later.type === "task.scheduled" && later.seq > event.seq);
        expect(next?.at).toBeGreaterThanOrEqual(event.data.notBefore);
      }
    });

    test("attempts that are used up fail the task, and the workflow with it", async () => {
      fleet.acts.set("always", failing(transient));
      const request = planOf(
        phase("p", [task("a", { act: "always" }, { retry: { attempts: 2, backoffMs: 1 } }), task("b")]),
        phase("q", [task("c")]),
      );
      const run = await fleet.run(request);
      expect(run.view).toMatchObject({ status: "failed", error: { ...transient, taskId: "a" } });
      expect(statuses(run)).toMatchObject({ a: "failed", c: "cancelled" });
      expect(story(run, "a").filter((type) => type === "task.started")).toHaveLength(2);
    });

    test("data is not tried again", async () => {
      fleet.acts.set("data", failing({ class: "data", code: "bad", message: "no" }));
      const run = await fleet.run(planOf(phase("p", [task("a", { act: "data" })])));
      expect(run.view).toMatchObject({ status: "failed", tasks: [{ attempt: 1, status: "failed" }] });
    });

    test("critical aborts the workflow, whatever its policy", async () => {
      fleet.acts.set("critical", failing({ class: "critical", code: "stop", message: "no" }));
      const run = await fleet.run(
        planOf(phase("p", [task("a", { act: "critical" }, { onFailure: "continue" })]), phase("q", [task("b")])),
      );
      expect(run.view).toMatchObject({ status: "aborted", error: { class: "critical", taskId: "a" } });
      expect(statuses(run)).toEqual({ a: "failed", b: "cancelled" });
    });

    test("under continue dependants run, and see null at any path", async () => {
      fleet.acts.set("data", failing({ class: "data", code: "bad", message: "no" }));
      const request = planOf(
        phase("p", [task("a", { act: "data" }, { onFailure: "continue" })]),
        phase("q", [task("b", { whole: "{{tasks.a.output}}", deep: "{{tasks.a.output.x.y}}" })]),
      );
      const run = await fleet.run(request);
      expect(run.view).toMatchObject({ status: "completed", result: { whole: null, deep: null } });
      expect(statuses(run)).toEqual({ a: "failed", b: "completed" });
    });

    test("what a task goes on writing after another one failed the workflow is refused", async () => {
      const failed = Promise.withResolvers<void>();
      let refused: unknown;
      fleet.acts.set("fail", async () => ({ kind: "failed", error: { class: "data", code: "bad", message: "no" } }));
      fleet.acts.set("go on", async (_, journal) => {
        await failed.promise;
        refused = await journal.progress("still here").catch((error: unknown) => error);
        return { kind: "completed", output: null };
      });
      const run = await fleet.run(
        planOf(phase("p", [task("b", { act: "go on" }), task("a", { act: "fail" }, { dependsOn: [] })])),
      );
      failed.resolve();
      await until(() => refused);
      expect(refused).toMatchObject({ name: "ClaimLostError", reason: "ended" });
      expect((await fleet.types(run.id)).at(-1)).toBe("workflow.failed");
      expect(statuses(run)).toMatchObject({ b: "cancelled" });
    });
  });
});
