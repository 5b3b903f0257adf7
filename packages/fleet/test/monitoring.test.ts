import { createMetrics, type Metrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import type { Measurement, MetricSink, PostOutcome } from "@flotilla/workflow";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { Tally } from "../src/index.ts";
import { Poster, type PosterOptions } from "../src/monitoring/poster.ts";
import { logger } from "./fleet.ts";

/** A sink in memory that does as it is told. */
class MemorySink implements MetricSink {
  readonly taken: Measurement[] = [];
  outcome: PostOutcome = { kind: "taken" };
  posts = 0;

  async post(measurements: readonly Measurement[]): Promise<PostOutcome> {
    this.posts++;
    if (this.outcome.kind === "taken") this.taken.push(...measurements);
    return this.outcome;
  }

  total(name: string): number {
    return this.taken.filter((one) => one.name === name).reduce((sum, { value }) => sum + value, 0);
  }
}

const handoffs = "flotilla_handoffs_total";

describeRealRedis("monitoring", () => {
  let redis: TestRedis;
  let admin: Redis;
  let sink: MemorySink;
  beforeAll(async () => {
    redis = await startRedis();
    admin = new Redis(redis.url);
  });
  afterAll(async () => {
    admin.disconnect();
    await redis.stop();
  });
  beforeEach(async () => {
    await admin.flushall();
    sink = new MemorySink();
  });

  async function tally(metrics: Metrics): Promise<Tally> {
    const made = new Tally({ redis: redisSettingsOf(redis.url), metrics, logger });
    await made.start();
    onTestFinished(() => made.stop());
    return made;
  }

  /** A supervisor's, whose loop the test is. */
  async function poster(options: Partial<PosterOptions> = {}): Promise<Poster> {
    const made = new Poster({ redis: redisSettingsOf(redis.url), sink, metrics: createMetrics(), logger, ...options });
    // It has connected, and its loop has ended: what is posted from now on is the work of `turn`.
    await made.start();
    onTestFinished(() => made.stop());
    return made;
  }

  /** Lets what was counted so far be of minutes that are over, the latest of them `ago` before the last one. */
  async function timePasses(ago = 0): Promise<void> {
    const [key = ""] = await admin.keys("{fleet}:tally:*");
    const minute = Number(key.split(":").at(-1));
    const now = Math.floor(Number((await admin.time())[0]) / 60);
    if (key !== "") await admin.rename(key, `{fleet}:tally:${Math.min(minute, now) - 1 - ago}`);
    await admin.set("{fleet}:minutes", now - 2 - ago);
  }

  test("what several processes counted is posted once, however many supervisors post", async () => {
    const [one, two] = [createMetrics(), createMetrics()];
    one.handoffs.inc({ outcome: "completed" }, 3);
    two.handoffs.inc({ outcome: "completed" }, 4);
    const [first, second] = [await tally(one), await tally(two)];
    await Promise.all([first.tell(), second.tell()]);
    // Nothing new is nothing to tell.
    await first.tell();
    await timePasses();
    const posters = [await poster(), await poster()];
    await Promise.all(posters.map((each) => each.turn()));
    await Promise.all(posters.map((each) => each.turn()));
    expect(sink.total(handoffs)).toBe(7);
    expect(sink.total("handoff_success_rate")).toBe(1);
  });

  test("the numbers of the fleet as it is now are told by the one that takes the last minute, and by nobody twice", async () => {
    const metrics = createMetrics();
    metrics.activeWorkflows.set(5);
    await admin.set("{fleet}:minutes", Math.floor(Number((await admin.time())[0]) / 60) - 4);
    const posters = [await poster({ metrics }), await poster({ metrics })];
    await Promise.all(posters.map((each) => each.turn()));
    const told = sink.taken.filter(({ name }) => name === "flotilla_active_workflows");
    // Three minutes were over, taken together; a fourth may have been over meanwhile.
    expect(told.length).toBeLessThanOrEqual(2);
    expect(told[0]).toMatchObject({ value: 5 });
  });

  test("what is not taken now is posted later, with the time that it had", async () => {
    const metrics = createMetrics();
    metrics.handoffs.inc({ outcome: "failed" }, 2);
    await (await tally(metrics)).tell();
    sink.outcome = { kind: "later", reason: "away" };
    const supervisor = await poster();
    await timePasses();
    await supervisor.turn();
    expect(sink.posts).toBeGreaterThan(0);
    const before = Math.floor(Number((await admin.time())[0]) / 60) * 60_000;
    sink.outcome = { kind: "taken" };
    await supervisor.turn();
    expect(sink.total(handoffs)).toBe(2);
    expect(sink.taken.find(({ name }) => name === handoffs)?.at).toBeLessThanOrEqual(before);
  });

  test("what may have been taken is not posted again, for it would count twice", async () => {
    const metrics = createMetrics();
    metrics.handoffs.inc({ outcome: "failed" }, 2);
    await (await tally(metrics)).tell();
    sink.outcome = { kind: "lost", reason: "no answer" };
    const supervisor = await poster();
    await timePasses();
    await supervisor.turn();
    sink.outcome = { kind: "taken" };
    await supervisor.turn();
    expect(sink.total(handoffs)).toBe(0);
  });

  test("what was not taken for 100 minutes is forgotten", async () => {
    const metrics = createMetrics();
    metrics.handoffs.inc({ outcome: "failed" }, 2);
    await (await tally(metrics)).tell();
    sink.outcome = { kind: "later", reason: "away" };
    let minutes = 0;
    const supervisor = await poster({ now: () => Date.now() + minutes * 60_000 });
    await timePasses();
    await supervisor.turn();
    minutes = 110;
    sink.outcome = { kind: "taken" };
    await supervisor.turn();
    expect(sink.total(handoffs)).toBe(0);
  });
});
