import {
  noTracer,
  parseConfig,
  redisSettingsOf,
  type Tracer,
  Tracing,
  tracingEnvironment,
  tracingSettings,
} from "@flotilla/runtime";
import { describeRealRedis, OtlpReceiver, startRedis, until } from "@flotilla/testkit";
import type { TaskOutcome } from "@flotilla/workflow";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { agentQueue } from "../src/keys.ts";
import { phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

describeRealRedis("traces", () => {
  let url = "";
  beforeAll(async () => {
    const redis = await startRedis();
    url = redis.url;
    return () => redis.stop();
  });

  async function rig(untraced: "supervisor" | "agent" | "nobody" = "nobody") {
    const receiver = await OtlpReceiver.start();
    const roles = ["api", "supervisor", "agent"] as const;
    const made = roles.map((role) => {
      const config = parseConfig(tracingEnvironment, {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      });
      return new Tracing(tracingSettings(config, role), () => undefined);
    });
    const [api, supervisor, agent] = made;
    if (!api || !supervisor || !agent) throw new Error("three were made");
    await Promise.all(made.map((tracing) => tracing.start()));
    const tracers: { api: Tracer; supervisor: Tracer; agent: Tracer } = { api, supervisor, agent };
    if (untraced !== "nobody") tracers[untraced] = noTracer;
    const fleet = await TestFleet.start({ redis: redisSettingsOf(url), tracers, supervisors: 0 });
    onTestFinished(async () => {
      await fleet.stop();
      await receiver.stop();
    });
    const submit = async (request: Parameters<TestFleet["submit"]>[0]) => {
      const span = api.begin("POST /v1/workflows", { kind: "server" });
      const id = await api.within(span, () => fleet.submit(request));
      span.end();
      return { id, traceparent: span.traceparent };
    };
    /** All that there is of a trace when everybody has sent what they have. */
    const delivered = async () => {
      // The last record comes before the end of the span that it is made in.
      await fleet.stop();
      await Promise.all(made.map((tracing) => tracing.stop()));
      return receiver;
    };
    return { fleet, submit, delivered };
  }

  const chain = ["POST /v1/workflows", "process workflows", "look", "process agent.worker"];

  test("a workflow is one trace from its request over the queue and the supervisor to its tasks", async () => {
    const { fleet, submit, delivered } = await rig();
    await fleet.addSupervisor();
    let seen: string | undefined;
    fleet.acts.set("see", async ({ traceparent }): Promise<TaskOutcome> => {
      seen = traceparent;
      return { kind: "completed", output: null };
    });
    const plan = planOf(phase("one", [task("a", { act: "see" })]), phase("two", [task("b")]));
    const { id, traceparent } = await submit(plan);
    const { events } = await fleet.end(id);
    const receiver = await delivered();

    expect(events[0]?.data).toMatchObject({ traceparent });
    const traceId = traceparent?.split("-")[1];
    expect(new Set(receiver.spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
    const ofTask = (taskId: string) =>
      receiver.spans.find(({ attributes }) => attributes["flotilla.task"] === taskId) ?? receiver.named("of the task");
    expect(receiver.path(ofTask("a"))).toEqual(chain);
    // What a completion schedules goes on from it, and what a look schedules from that look.
    expect(receiver.path(ofTask("b")).slice(0, 1)).toEqual(["POST /v1/workflows"]);
    expect(receiver.path(ofTask("b")).at(-1)).toBe("process agent.worker");
    expect(seen).toBe(`00-${traceId}-${ofTask("a").spanId}-01`);
    expect(ofTask("a")).toMatchObject({
      service: "flotilla-agent",
      kind: 5,
      attributes: {
        "messaging.system": "bullmq",
        "messaging.destination.name": "agent.worker",
        "messaging.message.id": `${id}.a.1.1`,
        "flotilla.workflow": id,
        "flotilla.attempt": 1,
        "flotilla.epoch": 1,
        "flotilla.outcome": "completed",
      },
    });
  });

  test("a job that is lost and added again goes on with the same trace, which is in the log", async () => {
    const { fleet, submit, delivered } = await rig();
    const { id } = await submit(planOf(phase("one", [task("a")])));
    const admission = fleet.store.queues.open("workflows");
    const job = await until(() => admission.getJob(id));
    await job.remove();
    await fleet.addSupervisor();
    await fleet.makeDue(id);
    expect((await fleet.end(id)).view.status).toBe("completed");
    const receiver = await delivered();
    const path = receiver.path(receiver.named("process agent.worker"));
    expect(path).toEqual(chain);
  });

  test("a job that was added with another trace is that job all the same", async () => {
    const { fleet, submit } = await rig();
    const { id, traceparent } = await submit(planOf(phase("one", [task("a")])));
    const { queues } = fleet.store;
    const dispatch = { taskId: "a", agent: "idle", attempt: 1, dispatch: 1, priority: "normal", deaths: 0 } as const;
    await queues.dispatch([{ workflowId: id, dispatch, traceparent }]);
    const job = await until(() => queues.open(agentQueue("idle")).getJob(`${id}.a.1.1`));
    expect(JSON.stringify(job.data).length).toBeLessThan(1024);
    expect(job.data).toMatchObject({ traceparent });
    expect(await queues.missing(id, [dispatch])).toEqual([]);
    expect(await queues.missing(id, [{ ...dispatch, deaths: 1 }])).toEqual(["a"]);
    expect(await queues.isAdmissible(id)).toBe(true);
    await fleet.store.cancel(tenant, id);
  });

  test("a supervisor that traces nothing hands on what others trace", async () => {
    const { fleet, submit, delivered } = await rig("supervisor");
    await fleet.addSupervisor();
    const { id } = await submit(planOf(phase("one", [task("a")])));
    await fleet.end(id);
    const receiver = await delivered();
    const tasks = receiver.spans.filter(({ attributes }) => attributes["messaging.message.id"] === `${id}.a.1.1`);
    expect(tasks.map((span) => receiver.path(span))).toEqual([[chain[0], chain[3]]]);
  });

  test("a workflow whose request was not traced is not traced, and neither is a look at which nothing happens", async () => {
    const { fleet, submit, delivered } = await rig();
    await fleet.addSupervisor();
    await fleet.run(planOf(phase("one", [task("a")])));
    const never = Promise.withResolvers<TaskOutcome>();
    fleet.acts.set("wait", () => never.promise);
    const { id } = await submit(planOf(phase("one", [task("a", { act: "wait" })])));
    await until(async () => (await fleet.store.get(tenant, id))?.tasks[0]?.status === "running");
    const dueAt = () => fleet.connection.zscore(`{s${id.slice(3, 5)}}:due`, id);
    for (let look = 0; look < 3; look++) {
      await fleet.makeDue(id);
      await until(async () => Number(await dueAt()) > 1);
    }
    never.resolve({ kind: "completed", output: null });
    await fleet.end(id);
    const receiver = await delivered();
    const looks = receiver.spans.filter(({ name }) => name === "look");
    expect(looks.flatMap(({ attributes }) => attributes["flotilla.events"])).toEqual([
      "workflow.planned",
      "task.scheduled",
      "workflow.completed",
    ]);
    expect(new Set(receiver.spans.map(({ attributes }) => attributes["flotilla.workflow"]))).toEqual(
      new Set([undefined, id]),
    );
  });
});
