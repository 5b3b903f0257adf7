import { createMetrics, noTracer, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { ClaimLostError, type ItemView, lookEveryMs, type WorkflowEvent } from "@flotilla/workflow";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Queues } from "../src/index.ts";
import { type Claim, Claims } from "../src/claims.ts";
import { admissionQueue, agentQueue, tagOf } from "../src/keys.ts";
import { Reconciler } from "../src/reconcile.ts";
import { Scripts } from "../src/scripts.ts";
import { type FleetOptions, logger, phase, planOf, statuses, story, task, tenant, TestFleet } from "./fleet.ts";

const single = planOf(phase("p", [task("a")]));

describeRealRedis("recovery", () => {
  let redis: TestRedis;
  const fleets: TestFleet[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const fleet of fleets.splice(0)) await fleet.stop();
  });
  afterAll(() => redis.stop());

  async function start(options: Partial<FleetOptions> = {}): Promise<TestFleet> {
    const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), ...options });
    fleets.push(fleet);
    return fleet;
  }

  /** Claims a task as a worker would that finds its job, and then does nothing any more. */
  async function claimAndDie(
    fleet: TestFleet,
    id: string,
    taskId: string,
    dispatch: number,
  ): Promise<{ claim: Claim; claims: Claims }> {
    const claims = new Claims({
      scripts: fleet.scripts,
      blobs: fleet.blobs,
      worker: "dead",
      onRefused: () => undefined,
    });
    const job = { workflowId: id, taskId, attempt: 1, dispatch };
    const claim = await until(async () => {
      const answer = await claims.claim(job, `dead-${dispatch}`);
      return typeof answer === "string" ? undefined : answer;
    });
    return { claim, claims };
  }

  /** The first item of a workflow, once there is one. */
  async function openItem(fleet: TestFleet, workflowId: string): Promise<ItemView> {
    return until(async () => (await fleet.store.inbox.list({ tenant, workflowId, limit: 1 }))?.items[0]);
  }

  /** Lets the lease run out, again and again until somebody has judged it. */
  async function judged(fleet: TestFleet, id: string, taskId: string, type: string, times = 1): Promise<void> {
    await until(async () => {
      await fleet.expireLease(id, taskId);
      await fleet.calm();
      return (await fleet.types(id)).filter((one) => one === type).length >= times;
    });
  }

  test("a task whose worker died goes to the next one as the same attempt, and the dead one writes nothing any more", async () => {
    const fleet = await start({ workers: 0 });
    const id = await fleet.submit(single);
    const dead = await claimAndDie(fleet, id, "a", 1);
    await judged(fleet, id, "a", "task.crashed");
    await fleet.addWorker("alive");
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });
    const first = ["task.scheduled", "task.started", "task.crashed"];
    const second = ["task.scheduled", "task.started", "task.completed"];
    expect(story(run, "a")).toEqual([...first, ...second]);
    expect(await dead.claims.record(dead.claim, { kind: "completed", output: "zombie" })).toBeUndefined();
    await expect(dead.claims.journal(dead.claim).progress("zombie")).rejects.toThrow(ClaimLostError);
    expect(run.view.result).toBe("a");
  });

  test("after two deaths a task is run alone, and however often its worker dies after that, it goes on", async () => {
    const fleet = await start({ workers: 0 });
    const id = await fleet.submit(single);
    for (const death of [1, 2, 3, 4]) {
      await claimAndDie(fleet, id, "a", death);
      await judged(fleet, id, "a", "task.crashed", death);
    }
    const alone: number[] = [];
    fleet.isolated = async ({ input, claim }) => {
      alone.push(claim);
      return { kind: "completed", output: input };
    };
    await fleet.addWorker("alive");
    expect((await fleet.end(id)).view).toMatchObject({ status: "completed", result: "a", tasks: [{ attempt: 1 }] });
    expect(alone).toEqual([5]);
  });

  test("a task that dies alone waits for a person, who may let it try again alone or give it up", async () => {
    const fleet = await start({ workers: 0 });
    fleet.isolated = async ({ attempt }) =>
      attempt < 3 ? { kind: "died", reason: "SIGKILL" } : { kind: "completed", output: "at last" };
    const id = await fleet.submit(single);
    for (const death of [1, 2]) {
      await claimAndDie(fleet, id, "a", death);
      await judged(fleet, id, "a", "task.crashed", death);
    }
    await fleet.addWorker("alive");
    for (const attempt of [1, 2]) {
      const item = await openItem(fleet, id);
      expect(item).toMatchObject({ kind: "quarantine", detail: { deaths: 3, reason: "SIGKILL", attempt } });
      await fleet.store.inbox.settle(tenant, item.id, { decision: "retry" }, "me");
    }
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", result: "at last", tasks: [{ attempt: 3 }] });
    const once = ["task.scheduled", "task.started", "task.crashed"];
    const asked = ["task.quarantined", "item.opened", "item.settled"];
    const last = ["task.scheduled", "task.started", "task.completed"];
    expect(story(run, "a")).toEqual([...once, ...once, ...once, ...asked, ...once, ...asked, ...last]);
  });

  test("a workflow that waits for a person is not active, and is looked at as often as any that is open", async () => {
    const fleet = await start({ maxActiveWorkflows: 1 });
    const detail = { step: "s", tool: "s", key: "k", argumentsBytes: 2, argumentsHash: "h" };
    fleet.acts.set("doubt", async ({ claim }) =>
      claim === 1 ? { kind: "parked", doubt: detail } : { kind: "completed", output: "done" },
    );
    const id = await fleet.submit(planOf(phase("p", [task("a", { act: "doubt" })])));
    const item = await openItem(fleet, id);
    await until(async () => (await fleet.types(id)).includes("workflow.waiting"));
    expect(await fleet.connection.sismember(`${tagOf(id)}:active`, id)).toBe(0);
    // The only place is free again.
    expect((await fleet.run(single)).view.status).toBe("completed");
    await until(async () => {
      const due = Number(await fleet.connection.zscore(`${tagOf(id)}:due`, id)) - Date.now();
      return due > lookEveryMs / 2 && due <= lookEveryMs;
    });
    expect(await fleet.store.list({ tenant, status: "waiting", limit: 10 })).toMatchObject({ workflows: [{ id }] });
    await fleet.store.inbox.settle(tenant, item.id, { decision: "happened", result: 7 }, "me");
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", result: "done", tasks: [{ attempt: 1 }] });
    const between = ["task.scheduled", "task.started", "item.opened", "item.settled", "task.scheduled"];
    expect(story(run, "a")).toEqual([...between, "task.started", "task.completed"]);
    expect(await fleet.connection.sismember(`${tagOf(id)}:active`, id)).toBe(0);
  });

  test("a task that runs too long is timed out, told to stop, and tried again", async () => {
    const fleet = await start();
    const told = Promise.withResolvers<unknown>();
    fleet.acts.set("hang", async ({ attempt }, _, signal) => {
      if (attempt === 1) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        told.resolve(signal.reason);
        throw signal.reason;
      }
      await told.promise;
      return { kind: "completed", output: "second" };
    });
    const hang = task("a", { act: "hang" }, { timeoutMs: 100, retry: { attempts: 2, backoffMs: 1 } });
    const id = await fleet.submit(planOf(phase("p", [hang])));
    await until(async () => (await fleet.types(id)).includes("task.started"));
    await until(async () => {
      await fleet.calm();
      return (await fleet.types(id)).includes("task.timed_out");
    });
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", result: "second", tasks: [{ attempt: 2 }] });
    expect(await told.promise).toMatchObject({ name: "ClaimLostError", reason: "superseded" });
  });

  test("a cancel of a queued workflow ends it before anything of it has started", async () => {
    const fleet = await start({ supervisors: 0 });
    const id = await fleet.submit(single);
    expect(await fleet.store.cancel(tenant, id, "changed my mind")).toBe("queued");
    await fleet.addSupervisor();
    const run = await fleet.end(id);
    expect(run.events.map(({ type }) => type)).toEqual([
      "workflow.submitted",
      "cancel.requested",
      "task.cancelled",
      "workflow.cancelled",
    ]);
    expect(run.view.status).toBe("cancelled");
  });

  test("a cancel of a running workflow reaches the running task, which writes nothing any more", async () => {
    const fleet = await start();
    const stopped = Promise.withResolvers<unknown>();
    fleet.acts.set("hang", async (_, __, signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      stopped.resolve(signal.reason);
      return { kind: "completed", output: "too late" };
    });
    const id = await fleet.submit(planOf(phase("p", [task("a", { act: "hang" })]), phase("q", [task("b")])));
    await until(async () => (await fleet.types(id)).includes("task.started"));
    expect(await fleet.store.cancel(tenant, id)).toBe("running");
    const run = await fleet.end(id);
    expect(run.view.status).toBe("cancelled");
    expect(statuses(run)).toEqual({ a: "cancelled", b: "cancelled" });
    expect(await stopped.promise).toBeInstanceOf(ClaimLostError);
    expect(await fleet.store.cancel(tenant, id)).toBe("cancelled");
    expect(await fleet.types(id)).toEqual(run.events.map(({ type }) => type));
  });

  test("a worker that is stopped hands its task back without spending the attempt", async () => {
    const fleet = await start({ workers: 0 });
    fleet.acts.set("first hangs", async ({ claim }, _, signal) => {
      if (claim > 1) return { kind: "completed", output: "done" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw signal.reason;
    });
    const leaving = await start({ supervisors: 0, workers: 1 });
    leaving.acts.set("first hangs", fleet.acts.get("first hangs") ?? (() => Promise.reject(new Error("no act"))));
    const id = await fleet.submit(planOf(phase("p", [task("a", { act: "first hangs" })])));
    await until(async () => (await fleet.types(id)).includes("task.started"));
    await fleet.addWorker("staying");
    fleets.pop();
    await leaving.stop();
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", result: "done", tasks: [{ attempt: 1 }] });
    expect(story(run, "a")).toContain("task.released");
  });

  test("two supervisors share a hundred workflows, and each decision stands once", async () => {
    const fleet = await start({ supervisors: 2, workers: 2 });
    const request = planOf(phase("p", [task("a"), task("b")]), phase("q", [task("c", "{{tasks.a.output}}")]));
    const ids = await Promise.all(Array.from({ length: 100 }, () => fleet.submit(request)));
    // Whoever looks at the wrong moment looks at all of them.
    await Promise.all(ids.map((id) => fleet.makeDue(id)));
    const runs = await Promise.all(ids.map((id) => fleet.end(id)));
    for (const run of runs) {
      expect(run.view).toMatchObject({ status: "completed", result: "a" });
      expect(count(run.events)).toEqual({
        "workflow.submitted": 1,
        "workflow.started": 1,
        "workflow.planned": 1,
        "tasks.scheduled": 1,
        "task.scheduled": 1,
        "task.started": 3,
        "task.completed": 3,
        "workflow.completed": 1,
      });
      expect(run.events.map(({ seq }) => seq)).toEqual(run.events.map((_, index) => index + 1));
    }
  });

  test("an admission job that is lost is added again by the first look", async () => {
    const fleet = await start({ supervisors: 0 });
    const id = await fleet.submit(single);
    const queue = new Queues(fleet.connection).open(admissionQueue);
    await until(() => queue.getJob(id));
    await queue.remove(id);
    await fleet.makeDue(id);
    await fleet.addSupervisor();
    expect((await fleet.end(id)).view.status).toBe("completed");
  });

  function reconcilerOf(scripts: Scripts, queues: Queues): Reconciler {
    return new Reconciler({
      scripts,
      queues,
      agents: () => new Map([["worker", { mayPlan: false }]]),
      readAgents: async () => new Map(),
      onDue: () => undefined,
      onRoom: () => undefined,
      handoffTimeoutMs: 300_000,
      defaults: { attempts: 3, concurrency: 10 },
      retentionMs: 60_000,
      hasArchive: false,
      hasExport: false,
      metrics: createMetrics(),
      logger,
      tracer: noTracer,
    });
  }

  /** A supervisor that dies after it has committed, before any job is added. */
  async function dieBeforeDispatch(fleet: TestFleet, id: string): Promise<void> {
    class LosingQueues extends Queues {
      override dispatch(): Promise<void> {
        return Promise.reject(new Error("dead"));
      }
    }
    const reconciler = reconcilerOf(fleet.scripts, new LosingQueues(fleet.connection));
    await expect(reconciler.start([{ id }])).rejects.toThrow("dead");
    expect(await fleet.types(id)).toContain("task.scheduled");
    expect(await jobsOf(fleet, "worker")).toBe(0);
  }

  test("a look whose commit stands, and whose answer an outage lost, is made again at once and adds its jobs", async () => {
    class LosingScripts extends Scripts {
      override async item(...call: Parameters<Scripts["item"]>): ReturnType<Scripts["item"]> {
        const answer = await super.item(...call);
        if (call[0] === "commit") throw new Error("Connection is closed.");
        return answer;
      }
    }
    const fleet = await start({ supervisors: 0, workers: 0 });
    const id = await fleet.submit(single);
    await reconcilerOf(new LosingScripts(fleet.connection), new Queues(fleet.connection)).start([{ id }]);
    expect(await fleet.types(id)).toContain("task.scheduled");
    expect(await jobsOf(fleet, "worker")).toBe(0);

    await until(async () => (await tokenOf(fleet, id)) === "", { what: "the look is settled" });
    const { events = [] } = (await fleet.store.events(tenant, id, 0, 100)) ?? {};
    const due = Number(await fleet.connection.zscore(`${tagOf(id)}:due`, id));
    expect(due - (events.at(-1)?.at ?? 0)).toBeLessThan(1000);
    await fleet.addSupervisor();
    // By a look that took the jobs for added it would be looked for 25 s later.
    await until(async () => (await jobsOf(fleet, "worker")) === 1, { timeoutMs: 10_000, what: "its job" });
  });

  test("a supervisor that dies between commit and dispatch leaves its look to another, which dispatches again", async () => {
    const fleet = await start({ supervisors: 0 });
    const id = await fleet.submit(single);
    await dieBeforeDispatch(fleet, id);
    await fleet.makeDue(id);
    await fleet.addSupervisor();
    const run = await fleet.end(id);
    expect(run.view.status).toBe("completed");
    expect(count(run.events)).toMatchObject({ "workflow.planned": 1, "task.scheduled": 1, "task.started": 1 });
  });

  test("it is the mark of the look that was cut off that makes the next one dispatch again", async () => {
    const fleet = await start({ supervisors: 0, workers: 0 });
    const id = await fleet.submit(single);
    await dieBeforeDispatch(fleet, id);
    await fleet.scripts.item("settle", tagOf(id), [id, await tokenOf(fleet, id), 1, 100, 0, 0, 0]);
    await fleet.addSupervisor();
    // Settled as if all had gone well: the job is looked for at the next look, and not now.
    await until(async () => Number(await fleet.connection.zscore(`${tagOf(id)}:due`, id)) > Date.now() + 10_000);
    expect(await jobsOf(fleet, "worker")).toBe(0);
  });

  test("a workflow whose retention is over leaves nothing behind", async () => {
    const fleet = await start({ retentionMs: 100 });
    fleet.acts.set("step", async (_, journal) => {
      await journal.record({ key: "one", inputHash: "", result: 1 });
      return { kind: "completed", output: "x".repeat(5000) };
    });
    const request = planOf(phase("p", [task("a", { act: "step" })]), phase("q", [task("b", "{{tasks.a.output}}")]));
    const ids = await Promise.all([1, 2, 3].map((n) => fleet.submit({ ...request, tags: { n: `${n}` } })));
    for (const id of ids) {
      await until(async () => (await fleet.store.get(tenant, id)) === undefined);
      expect(await fleet.keys(id)).toEqual([]);
      for (const set of ["due", "leases", `list:${tenant}`, `list:${tenant}:completed`]) {
        expect(await fleet.connection.zscore(`${tagOf(id)}:${set}`, id)).toBeNull();
      }
      expect(await fleet.connection.sismember(`${tagOf(id)}:active`, id)).toBe(0);
    }
    expect(await fleet.store.list({ tenant, tag: { key: "n", value: "1" }, limit: 10 })).toEqual({ workflows: [] });
    expect(await fleet.store.cancel(tenant, ids[0] ?? "")).toBeUndefined();
  });

  async function tokenOf(fleet: TestFleet, id: string): Promise<string> {
    return (await fleet.connection.hget(`${tagOf(id)}:wf:${id}:index`, "token")) ?? "";
  }
});

async function jobsOf(fleet: TestFleet, agentType: string): Promise<number> {
  const { wait, prioritized, active } = await new Queues(fleet.connection).depth(agentQueue(agentType));
  return wait + prioritized + active;
}

function count(events: readonly WorkflowEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type } of events) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}
