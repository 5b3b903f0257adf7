import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { Priority, type WorkflowEvent } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Queues } from "../src/index.ts";
import { agentQueue } from "../src/keys.ts";
import { phase, planOf, task, TestFleet } from "./fleet.ts";

/**
 * A failover forgets results and steps of a log, and not the jobs that followed from them: those lie in a queue on
 * another master of a cluster, or in the hands of a worker that says its claim again.
 */
describeRealRedis("a job of a future that the log has forgotten", () => {
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

  /** Submits, adds the job while the first task runs, waits until a worker has had it, and lets the first task end. */
  async function runAhead(job: { taskId: string; attempt: number; dispatch: number }): Promise<WorkflowEvent[]> {
    const gate = Promise.withResolvers<void>();
    fleet.acts.set("wait", async () => (await gate.promise, { kind: "completed", output: 1 }));
    const plan = planOf(
      phase("p", [task("a", { act: "wait" })]),
      phase("q", [task("b", { of: "{{tasks.a.output}}" })]),
    );
    const id = await fleet.submit(plan);
    await until(async () => (await fleet.types(id)).includes("task.started"));
    const queues = new Queues(fleet.connection);
    const dispatch = { ...job, agent: "worker", priority: Priority.parse("normal"), deaths: 0 };
    await queues.dispatch([{ workflowId: id, dispatch }]);
    await until(async () => {
      const waiting = await queues
        .open(agentQueue("worker"))
        .getJob(`${id}.${job.taskId}.${job.attempt}.${job.dispatch}`);
      return !waiting;
    });
    gate.resolve();
    const { events, view } = await fleet.end(id);
    await queues.close();
    expect(view.status).toBe("completed");
    return events;
  }

  test("does not start a task that is not scheduled yet", async () => {
    const events = await runAhead({ taskId: "b", attempt: 1, dispatch: 1 });
    const order = events.map((event) => `${event.type} ${"taskId" in event ? event.taskId : ""}`);
    expect(order.indexOf("task.completed a")).toBeLessThan(order.indexOf("task.started b"));
  });
});
