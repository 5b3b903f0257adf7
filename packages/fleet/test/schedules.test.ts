import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import { maxSchedules, type ScheduleRequest, type ScheduleView } from "@flotilla/workflow";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { copySchedules, restoreSchedules } from "../src/archive/schedule-copy.ts";
import { Scheduler } from "../src/schedules/scheduler.ts";
import { fleetShards } from "../src/shards.ts";
import { logger, phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

const hourMs = 3_600_000;
const hourly: ScheduleRequest = { cron: "0 * * * *", timeZone: "UTC", request: planOf(phase("p", [task("a")])) };

describeRealRedis("schedules", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  const admitted: string[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    // No supervisor: what is started, these tests start.
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url), supervisors: 0, workers: 0 });
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(async () => {
    await fleet.stop();
    await redis.stop();
  });

  async function scheduled(request = hourly): Promise<ScheduleView> {
    const outcome = await fleet.store.schedules.create(tenant, request);
    if (outcome.kind !== "stored") throw new Error(outcome.kind);
    return outcome.schedule;
  }
  async function scheduler(): Promise<Scheduler> {
    const admit = async (workflows: { id: string }[]) => void admitted.push(...workflows.map(({ id }) => id));
    return new Scheduler({ scripts: fleet.scripts, shards: await fleetShards(fleet.connection), admit, logger });
  }
  /** Workflows that a schedule has started, the newest first. */
  const startedBy = async ({ id }: ScheduleView) =>
    (await fleet.store.list({ tenant, tag: { key: "schedule", value: id }, limit: 50 }))?.workflows ?? [];
  const setSlot = ({ id }: ScheduleView, at: number) => fleet.connection.zadd("{fleet}:slots", at, id);
  const read = async ({ id }: ScheduleView) => fleet.store.schedules.get(tenant, id);
  const fullHour = () => Math.floor(Date.now() / hourMs) * hourMs;

  test("a slot starts its workflow once, whoever sees it and however often", async () => {
    const schedule = await scheduled();
    expect(Date.parse(schedule.nextAt) % hourMs).toBe(0);
    await (await scheduler()).round();
    expect(await startedBy(schedule)).toEqual([]);
    await setSlot(schedule, fullHour());
    const rounds = [await scheduler(), await scheduler(), await scheduler()];
    await Promise.all(rounds.map((one) => one.round()));
    const [workflow, ...others] = await startedBy(schedule);
    expect(others).toEqual([]);
    expect(admitted).toContain(workflow?.id);
    expect(await read(schedule)).toMatchObject({
      nextAt: new Date(fullHour() + hourMs).toISOString(),
      last: { slot: new Date(fullHour()).toISOString(), workflowId: workflow?.id },
    });
  });

  test("one that died before it had moved the schedule on has started nothing twice", async () => {
    const schedule = await scheduled();
    const again = async () => {
      await setSlot(schedule, fullHour());
      await (await scheduler()).round();
      return (await startedBy(schedule)).length;
    };
    expect(await again()).toBe(1);
    expect(await again()).toBe(1);
    // The control: it is the key of the slot that holds it back.
    await fleet.connection.del(...(await fleet.keys(":idem:")));
    expect(await again()).toBe(2);
  });

  test("of slots that nobody was there for the last is started, and no other", async () => {
    const schedule = await scheduled();
    await setSlot(schedule, fullHour() - 5 * hourMs);
    await (await scheduler()).round();
    expect(await startedBy(schedule)).toHaveLength(1);
    expect(await read(schedule)).toMatchObject({ last: { slot: new Date(fullHour()).toISOString() } });
  });

  test("a clock that is off by five minutes starts nothing early and nothing else", async () => {
    const early = await scheduled();
    const due = await scheduled();
    const soon = Date.now() + 60_000;
    await setSlot(early, soon);
    await setSlot(due, fullHour());
    const now = Date.now.bind(Date);
    for (const offMs of [-300_000, 300_000]) {
      vi.spyOn(Date, "now").mockImplementation(() => now() + offMs);
      await (await scheduler()).round();
      vi.restoreAllMocks();
    }
    expect(await startedBy(early)).toEqual([]);
    expect(await startedBy(due)).toHaveLength(1);
    expect(await read(due)).toMatchObject({ nextAt: new Date(fullHour() + hourMs).toISOString() });
  });

  test("one that was removed starts nothing more", async () => {
    const schedule = await scheduled();
    await setSlot(schedule, fullHour());
    expect(await fleet.store.schedules.remove("other", schedule.id)).toBe(false);
    expect(await fleet.store.schedules.remove(tenant, schedule.id)).toBe(true);
    expect(await fleet.store.schedules.remove(tenant, schedule.id)).toBe(false);
    await (await scheduler()).round();
    expect(await startedBy(schedule)).toEqual([]);
  });

  test("the same key makes one, another body is a conflict, and a tenant has no more than its share", async () => {
    const { schedules } = fleet.store;
    const make = (bodyHash: string) => schedules.create("many", hourly, { key: "k", bodyHash });
    const [first, again, other] = [await make("a"), await make("a"), await make("b")];
    expect(first).toMatchObject({ kind: "stored", isNew: true });
    expect(again).toMatchObject({ kind: "stored", isNew: false });
    expect(other).toMatchObject({ kind: "conflict" });
    expect(await schedules.list("many")).toHaveLength(1);
    for (let n = 1; n < maxSchedules; n++) await schedules.create("many", hourly);
    expect(await schedules.create("many", hourly)).toEqual({ kind: "too-many" });
    expect(await schedules.create("many", { ...hourly, cron: "x" })).toMatchObject({ kind: "invalid" });
  });

  describe("after a loss of Redis", () => {
    test("they are back at the slots that they were at, and what was missed meanwhile is started", async () => {
      const schedule = await scheduled();
      await setSlot(schedule, fullHour() - hourMs);
      const copied = await copySchedules(fleet.connection, fleet.archive, "");
      expect(await copySchedules(fleet.connection, fleet.archive, copied)).toBe(copied);
      await fleet.connection.del(...(await fleet.keys("{fleet}:")).filter((key) => /sched|slots/.test(key)));
      // What has lost everything must not take the copy with it.
      expect(await copySchedules(fleet.connection, fleet.archive, copied)).toBe(copied);
      expect(await read(schedule)).toBeUndefined();
      expect(await restoreSchedules(fleet.connection, fleet.archive)).toBeGreaterThan(0);
      expect(await restoreSchedules(fleet.connection, fleet.archive)).toBe(0);
      expect(await read(schedule)).toMatchObject({ nextAt: new Date(fullHour() - hourMs).toISOString() });
      await (await scheduler()).round();
      expect(await startedBy(schedule)).toHaveLength(1);
    });
  });
});
