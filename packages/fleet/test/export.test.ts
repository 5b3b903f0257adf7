import { createMetrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { maxMessageBytes, type StreamMessage, type StreamWriter } from "@flotilla/workflow";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rebuild } from "../src/index.ts";
import { messageOf } from "../src/export/event-message.ts";
import { type FleetOptions, logger, phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

/** A stream in memory that can be away, and can lose the answer to what it took. */
class MemoryStream implements StreamWriter {
  readonly values: { workflowId: string; incarnation: number; seq: number; type: string }[] = [];
  isAway = false;
  losesAnswers = false;

  async append(messages: readonly StreamMessage[]): Promise<void> {
    if (this.isAway) throw new Error("away");
    for (const { key, value } of messages) {
      const event = JSON.parse(Buffer.from(value).toString());
      expect(event).toMatchObject({ workflowId: key, tenant });
      this.values.push(event);
    }
    if (this.losesAnswers) throw new Error("nobody knows");
  }

  /** Places in the log in the order in which they were there first. */
  seqs(id: string): number[] {
    return [...new Set(this.values.filter(({ workflowId }) => workflowId === id).map(({ seq }) => seq))];
  }
}

const upTo = (tip: number) => Array.from({ length: tip }, (_, index) => index + 1);

describeRealRedis("the export of events", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  let events: MemoryStream;
  beforeEach(async () => {
    redis = await startRedis();
    events = new MemoryStream();
  });
  afterEach(async () => {
    await fleet.stop();
    await redis.stop();
  });

  async function start(options: Partial<FleetOptions> = {}): Promise<void> {
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), hasArchive: true, events, ...options });
  }

  const request = () => planOf(phase("one", [task("a"), task("b")]), phase("two", [task("c")]));

  async function isExported(id: string): Promise<boolean> {
    const page = await fleet.store.events(tenant, id, 0, 1000);
    const tip = page?.events.at(-1)?.seq ?? 0;
    return tip > 0 && events.seqs(id).length >= tip;
  }

  async function exported(...ids: string[]): Promise<void> {
    await until(async () => (await Promise.all(ids.map(isExported))).every(Boolean), { timeoutMs: 15_000 });
  }

  test("every event of every workflow is in the stream, in order, whichever supervisor exports it", async () => {
    await start({ supervisors: 2 });
    const runs = await Promise.all(Array.from({ length: 20 }, () => fleet.run(request())));
    await exported(...runs.map(({ id }) => id));
    for (const { id, events: log } of runs) {
      const types = new Map(events.values.flatMap((one) => (one.workflowId === id ? [[one.seq, one.type]] : [])));
      expect([...types]).toEqual(log.map(({ seq, type }) => [seq, type]));
    }
  });

  test("while the stream is away work goes on, the lag rises, and nothing is dropped or forgotten", async () => {
    await start({ supervisors: 0, retentionMs: 1 });
    const metrics = createMetrics();
    await fleet.addSupervisor(metrics);
    events.isAway = true;
    const { id, events: log, view } = await fleet.run(request());
    expect(view.status).toBe("completed");
    const lag = async () => (await metrics.exportLagSeconds.get()).values[0]?.value ?? 0;
    await until(async () => (await lag()) > 2, { what: "the lag" });
    expect(await fleet.store.get(tenant, id)).toMatchObject({ status: "completed" });
    expect(await fleet.keys(`${id}:log`)).toHaveLength(1);
    // What reached the stream, but not us, is told again.
    events.isAway = false;
    events.losesAnswers = true;
    await until(() => events.seqs(id).length === log.length);
    expect(await fleet.keys(`${id}:log`)).toHaveLength(1);
    events.losesAnswers = false;
    await until(async () => (await lag()) === 0, { what: "no lag" });
    expect(events.seqs(id)).toEqual(upTo(log.length));
    await until(async () => (await fleet.keys(`${id}:log`)).length === 0, {
      timeoutMs: 15_000,
      what: "it is forgotten",
    });
  });

  test("after a total loss and a rebuild some events come again, and none is missing", async () => {
    await start();
    const opened = Promise.withResolvers<void>();
    fleet.acts.set("gate", () => opened.promise.then(() => ({ kind: "completed", output: 1 })));
    const open = await fleet.submit(planOf(phase("p", [task("a"), task("t", { act: "gate" })])));
    const ended = await fleet.run(request());
    await exported(open, ended.id);
    const before = events.seqs(open).length;
    await fleet.connection.flushall();
    events.values.length = 0;
    await rebuild({
      redis: redisSettingsOf(redis.url),
      objects: fleet.archive,
      retentionMs: 3_600_000,
      force: false,
      logger,
    });
    opened.resolve();
    const run = await fleet.end(open);
    await exported(ended.id);
    await until(() => events.seqs(open).at(-1) === run.events.length, { what: "the end" });
    const seqs = events.seqs(open);
    expect(seqs).toEqual(upTo(run.events.length).slice(-seqs.length));
    expect(seqs[0]).toBeLessThanOrEqual(before + 1);
    expect(events.values.filter(({ workflowId }) => workflowId === open).at(-1)?.incarnation).toBe(2);
    expect(events.seqs(ended.id)).toEqual(upTo(ended.events.length));
  });
});

test("of an event that is too large for a message the size is told in place of its data", () => {
  const of = { id: "wf_00_x", tenant, incarnation: 1 };
  const line = (input: string) => ({
    seq: 1,
    at: 0,
    text: JSON.stringify({ type: "workflow.submitted", data: { input } }),
  });
  const parsed = (input: string) => {
    const { value } = messageOf(of, line(input));
    expect(value.byteLength).toBeLessThan(maxMessageBytes);
    return JSON.parse(Buffer.from(value).toString());
  };
  const common = { workflowId: "wf_00_x", tenant, incarnation: 1, seq: 1, at: "1970-01-01T00:00:00.000Z" };
  expect(parsed("x")).toEqual({ ...common, type: "workflow.submitted", data: { input: "x" } });
  const omittedBytes = JSON.stringify({ input: "x".repeat(maxMessageBytes) }).length;
  expect(parsed("x".repeat(maxMessageBytes))).toEqual({ ...common, type: "workflow.submitted", omittedBytes });
});
