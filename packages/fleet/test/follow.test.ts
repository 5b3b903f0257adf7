import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { WorkflowEvent } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

const never = new AbortController().signal;

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describeRealRedis("following a workflow", () => {
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

  /** Reads to the end, or until `most` events have come. */
  async function seqs(id: string, after = 0, most = Infinity): Promise<number[]> {
    const found: WorkflowEvent[] = [];
    for await (const batch of (await fleet.store.follow(tenant, id, after, never)) ?? []) {
      expect(batch.length).toBeGreaterThan(0);
      found.push(...batch);
      if (found.length >= most) break;
    }
    return found.map(({ seq }) => seq);
  }

  test("many followers see every event once, in order, while many tasks write at the same time, to the end", async () => {
    fleet.acts.set("chatty", async (_, journal) => {
      for (let n = 0; n < 20; n++) await journal.progress(`${n}`);
      return { kind: "completed", output: null };
    });
    const chatty = Array.from({ length: 20 }, (_, n) => task(`t${n}`, { act: "chatty" }));
    const id = await fleet.submit(planOf(phase("p", chatty), phase("q", [task("end")])));
    const followers = await Promise.all(range(0, 39).map((after) => seqs(id, after % 20)));
    const last = (await fleet.store.events(tenant, id, 0, 10_000))?.events.at(-1);
    expect(last?.type).toBe("workflow.completed");
    expect(last?.seq).toBeGreaterThan(400);
    followers.forEach((found, after) => expect(found).toEqual(range((after % 20) + 1, last?.seq ?? 0)));
  });

  test("dropped and resumed where it was, again and again, it misses and doubles nothing", async () => {
    fleet.acts.set("slow and chatty", async (_, journal) => {
      for (let n = 0; n < 50; n++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        await journal.progress(`${n}`);
      }
      return { kind: "completed", output: null };
    });
    const id = await fleet.submit(
      planOf(phase("p", [task("a", { act: "slow and chatty" }), task("b", { act: "slow and chatty" })])),
    );
    const found: number[] = [];
    let drops = 0;
    for (let page = await seqs(id, 0, 1); page.length > 0; page = await seqs(id, found.at(-1), 1)) {
      found.push(...page);
      drops++;
    }
    expect(drops).toBeGreaterThan(3);
    expect(found).toEqual(range(1, found.length));
    expect((await fleet.types(id)).at(-1)).toBe("workflow.completed");
    expect(found).toHaveLength((await fleet.types(id)).length);
  });

  test("a workflow of more events than a page is followed page by page", async () => {
    const { id } = await fleet.run(
      planOf(
        phase(
          "p",
          range(1, 600).map((n) => task(`t${n}`)),
        ),
      ),
    );
    const found = await seqs(id);
    expect(found.length).toBeGreaterThan(1200);
    expect(found).toEqual(range(1, found.length));
  });

  test("of an ended workflow it ends at once, at the end and beyond it", async () => {
    const { id, events } = await fleet.run(planOf(phase("p", [task("a")])));
    expect(await seqs(id, events.length)).toEqual([]);
    expect(await seqs(id, events.length + 100)).toEqual([]);
    expect(await seqs(id, events.length - 1)).toEqual([events.length]);
  });

  test("an aborted signal ends it with its reason", async () => {
    const release = Promise.withResolvers<void>();
    fleet.acts.set("hang", async () => {
      await release.promise;
      return { kind: "completed", output: null };
    });
    const id = await fleet.submit(planOf(phase("p", [task("a", { act: "hang" })])));
    const controller = new AbortController();
    const followed = (async () => {
      for await (const _ of (await fleet.store.follow(tenant, id, 0, controller.signal)) ?? []);
    })();
    await until(async () => (await fleet.types(id)).includes("task.started"));
    controller.abort(new Error("the client has gone"));
    await expect(followed).rejects.toThrow("the client has gone");
    release.resolve();
    await fleet.end(id);
  });

  test("another tenant's workflow, and an unknown one, cannot be followed", async () => {
    const { id } = await fleet.run(planOf(phase("p", [task("a")])));
    expect(await fleet.store.follow("other", id, 0, never)).toBeUndefined();
    expect(await fleet.store.follow(tenant, `wf_00_${"0".repeat(26)}`, 0, never)).toBeUndefined();
  });
});
