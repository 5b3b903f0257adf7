import { until } from "@flotilla/testkit";
import { describe, expect, test } from "vitest";
import { hourMs, type Shard, specText } from "../shard.ts";

/** The rules of `take` and `settle`, of leases, and of who is woken when. */
export function lookRules(newShard: () => Shard): void {
  describe("take", () => {
    test("takes what is due, oldest first, and leaves what is not", async () => {
      const shard = newShard();
      const [a, b, c] = await Promise.all([shard.dispatched(), shard.dispatched(), shard.dispatched()]);
      await shard.setDue(b.id, 1000);
      await shard.setDue(a.id, 2000);
      const { entries, lateMs, now } = await shard.take();
      expect(entries.map(({ id }) => id)).toEqual([b.id, a.id]);
      expect(lateMs).toBe(now - 1000);
      expect(await shard.due(c.id)).toBeGreaterThan(now);
    });

    test("takes no more than asked for, and tells when the next is due", async () => {
      const shard = newShard();
      const ids = await Promise.all(
        [1, 2, 3].map(async (at) => {
          const { id } = await shard.dispatched();
          await shard.setDue(id, at);
          return id;
        }),
      );
      const { entries, next } = await shard.take({ most: 2 });
      expect(entries.map(({ id }) => id)).toEqual(ids.slice(0, 2));
      expect(next).toBe(3);
      const second = await shard.take({ most: 2, takeMs: 7000 });
      expect(second.entries.map(({ id }) => id)).toEqual(ids.slice(2));
      expect(second.next).toBeGreaterThan(second.now);
    });

    test("answers -1 as the next due of a shard without workflows", async () => {
      expect(await newShard().take()).toMatchObject({ lateMs: 0, next: -1, entries: [] });
    });

    test("a look that is not settled is taken again after its time, and says so", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.setDue(id, 1);
      expect((await shard.take({ token: "dead", takeMs: 5000 })).entries).toMatchObject([{ id, isRepeated: false }]);
      expect((await shard.take({ token: "next" })).entries).toEqual([]);
      await shard.setDue(id, 1);
      expect((await shard.take({ token: "next" })).entries).toMatchObject([{ id, isRepeated: true }]);
      expect(await shard.settle(id, { token: "dead" })).toBe("lost");
      expect(await shard.settle(id, { token: "next", seen: 4 })).toBe("settled");
    });

    test("reads the log from the last line that a settled look saw, that one included", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.setDue(id, 1);
      const [entry] = (await shard.take()).entries;
      expect(entry?.lines.map(({ seq }) => seq)).toEqual([seen, seen + 1]);
    });

    test("a workflow that is gone drops out", async () => {
      const shard = newShard();
      const id = shard.newId();
      await shard.setDue(id, 1);
      expect((await shard.take()).entries).toEqual([]);
      expect(await shard.due(id)).toBeUndefined();
    });

    test("an ended workflow is taken to be forgotten", async () => {
      const shard = newShard();
      const id = await shard.ended();
      expect((await shard.take()).entries).toMatchObject([{ id, revision: -1 }]);
    });

    test("one whose last look was cut off between its end and its settlement is kept for its retention", async () => {
      const shard = newShard();
      const id = await shard.ended();
      await shard.setDue(id, 1);
      const { entries, now } = await shard.take({ retentionMs: hourMs });
      expect(entries).toEqual([]);
      expect(await shard.due(id)).toBeGreaterThan(now + hourMs - 60_000);
      expect(await shard.due(id)).toBeLessThanOrEqual(now + hourMs);
      expect(await shard.forget(id)).toBe(0);
      await shard.setDue(id, 1);
      expect((await shard.take()).entries).toMatchObject([{ id, revision: -1 }]);
    });
  });

  describe("leases", () => {
    async function claimed(shard: Shard, spec = specText()) {
      const { id } = await shard.dispatched({ a: spec });
      await shard.claim(id, "a");
      return id;
    }

    test("a lease that ran out makes its workflow due, and the look is told whose it was", async () => {
      const shard = newShard();
      const id = await claimed(shard);
      await shard.expireLease(id, "a");
      await shard.calm();
      expect((await shard.take()).entries).toMatchObject([{ id, expired: ["a", 1] }]);
    });

    test("no lease is judged before a full lease of calm", async () => {
      const shard = newShard();
      const id = await claimed(shard);
      await shard.take();
      await shard.expireLease(id, "a");
      expect((await shard.take({ leaseMs: 60_000 })).entries).toEqual([]);
      const taken = await until(async () => (await shard.take({ leaseMs: 100 })).entries.length > 0);
      expect(taken).toBe(true);
    });

    test("a gap between takes, and a clock that went back, begin the calm anew", async () => {
      const shard = newShard();
      const id = await claimed(shard);
      await shard.expireLease(id, "a");
      const now = await shard.now();
      for (const last of [now - 10_000, now + 10_000]) {
        await shard.connection.hset(`${shard.tag}:tick`, { last, calm: 1 });
        expect((await shard.take({ gapMs: 2000 })).entries).toEqual([]);
      }
      await shard.connection.hset(`${shard.tag}:tick`, { last: await shard.now(), calm: 1 });
      expect((await shard.take({ gapMs: 2000 })).entries).toHaveLength(1);
    });

    test("a lease of a workflow that has ended or is gone is dropped without a look", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.commit(id, { revision, seen: 5, status: "failed", ended: true });
      await shard.expireLease(id, "a");
      await shard.expireLease(shard.newId(), "a");
      await shard.calm();
      expect((await shard.take()).entries).toEqual([]);
      expect(await shard.connection.zcard(`${shard.tag}:leases`)).toBe(0);
    });

    test("an expired lease that nobody has judged renews", async () => {
      const shard = newShard();
      const id = await claimed(shard);
      await shard.expireLease(id, "a");
      expect(await shard.renew(id, "a", { epoch: 1, holder: "holder" })).toBe("renewed");
      await shard.calm();
      expect((await shard.take()).entries).toEqual([]);
    });

    test("a lease never goes beyond the timeout of its task, however often it is renewed", async () => {
      const shard = newShard();
      const id = await claimed(shard, specText({ timeoutMs: 3000 }));
      const end = await shard.lease(id, "a");
      expect(end).toBeLessThanOrEqual((await shard.now()) + 3000);
      await shard.renew(id, "a", { epoch: 1, holder: "holder" }, 60_000);
      expect(await shard.lease(id, "a")).toBe(end);
    });

    test("renewing moves the lease of a task without timeout", async () => {
      const shard = newShard();
      const id = await claimed(shard);
      await shard.renew(id, "a", { epoch: 1, holder: "holder" }, 60_000);
      expect(await shard.lease(id, "a")).toBeGreaterThan((await shard.now()) + 50_000);
    });
  });

  describe("settle", () => {
    test("gives the workflow the time of its next look", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.setDue(id, 1);
      await shard.take();
      expect(await shard.settle(id, { nextLook: 9_000_000_000_000, seen: 4 })).toBe("settled");
      expect(await shard.due(id)).toBe(9_000_000_000_000);
    });

    test("a fact that the look did not see makes it due now", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.setDue(id, 1);
      await shard.take();
      const due = await shard.due(id);
      await shard.record(id, "a", { epoch: 1, holder: "holder" });
      expect(await shard.due(id)).toBe(due);
      expect(await shard.settle(id, { seen: seen + 1 })).toBe("again");
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("a fact that the look saw, and lines that want no look, leave the next look where it is", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched({ a: specText(), b: specText() });
      await shard.claim(id, "a");
      await shard.record(id, "a", { epoch: 1, holder: "holder" });
      await shard.take();
      await shard.claim(id, "b");
      await shard.progress(id, "b", { epoch: 1, holder: "holder" });
      expect(await shard.settle(id, { seen: seen + 2 })).toBe("settled");
    });

    test("a look that failed is put off, whatever facts there were before it", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.record(id, "a", { epoch: 1, holder: "holder" });
      await shard.take();
      expect(await shard.settle(id, { nextLook: 9_000_000_000_000, seen: 0 })).toBe("settled");
      expect(await shard.due(id)).toBe(9_000_000_000_000);
      await shard.setDue(id, 1);
      expect((await shard.take()).entries[0]?.lines[0]?.seq).toBe(1);
    });

    test("so many completions ask for no look as the last look allowed, and the next one does", async () => {
      const shard = newShard();
      const tasks = ["a", "b", "c"];
      const { id, seen } = await shard.dispatched(Object.fromEntries(tasks.map((task) => [task, specText()])));
      await shard.setDue(id, 1);
      await shard.take();
      const nextLook = 9_000_000_000_000;
      await shard.settle(id, { nextLook, seen, quiet: 2 });
      for (const [index, task] of tasks.entries()) {
        await shard.claim(id, task);
        await shard.record(id, task, { epoch: 1, holder: "holder" }, { mayBeQuiet: true });
        if (index < 2) expect(await shard.due(id)).toBe(nextLook);
      }
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("a fact that is never quiet asks for a look at once", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      await shard.setDue(id, 1);
      await shard.take();
      await shard.settle(id, { seen, quiet: 5 });
      await shard.claim(id, "a");
      await shard.record(id, "a", { epoch: 1, holder: "holder" }, { kind: "failed" });
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("a look that was to repeat jobs and added none leaves that to the next one", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      const repeats = async () => {
        await shard.setDue(id, 1);
        return (await shard.take()).entries.map(({ isRepeated }) => isRepeated);
      };
      await repeats();
      expect(await repeats()).toEqual([true]);
      await shard.settle(id, { seen, isUnsure: true });
      expect(await repeats()).toEqual([true]);
      await shard.settle(id, { seen });
      expect(await repeats()).toEqual([false]);
    });

    test("no completion is quiet while a look is under way", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      await shard.setDue(id, 1);
      await shard.take();
      await shard.settle(id, { seen, quiet: 5 });
      await shard.claim(id, "a");
      await shard.setDue(id, 1);
      await shard.take();
      await shard.record(id, "a", { epoch: 1, holder: "holder" }, { mayBeQuiet: true });
      expect(await shard.settle(id, { seen: seen + 1, quiet: 5 })).toBe("again");
    });

    describe("a wave", () => {
      const writer = { epoch: 1, holder: "holder" };
      const nextLook = 9_000_000_000_000;
      const [first, second] = ["b:probe:high,c:probe:low", "d:probe:normal"];
      const waves = [`1 1 ${first} {"type":"tasks.scheduled"}`, `0 0 ${second} {"type":"task.scheduled"}`];

      /** A workflow of which one task is claimed, and the others are scheduled by completions. */
      async function running(shard: Shard, settlement: { quiet?: number } = {}) {
        const specs = Object.fromEntries(["a", "b", "c", "d"].map((task) => [task, specText()]));
        const { id, seen } = await shard.dispatched(specs);
        await shard.setDue(id, 1);
        await shard.take();
        await shard.settle(id, { nextLook, seen, waves, ...settlement });
        await shard.claim(id, "a");
        return id;
      }
      const complete = (shard: Shard, id: string, task: string) => shard.record(id, task, writer, { mayBeQuiet: true });

      test("is scheduled by the completion after the quiet ones, and the next by the last of its own", async () => {
        const shard = newShard();
        const id = await running(shard);
        expect(await complete(shard, id, "a")).toBe(first);
        for (const task of ["b", "c"]) await shard.claim(id, task);
        expect(await complete(shard, id, "c")).toBe("recorded");
        expect(await complete(shard, id, "b")).toBe(second);
        await shard.claim(id, "d");
        expect((await shard.types(id)).slice(4)).toEqual([
          "task.started",
          "task.completed",
          "tasks.scheduled",
          "task.started",
          "task.started",
          "task.completed",
          "task.completed",
          "task.scheduled",
          "task.started",
        ]);
        expect(await shard.due(id)).toBeGreaterThan(await shard.now());
        expect(await complete(shard, id, "d")).toBe("recorded");
        expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
      });

      test("is made sure of by a look soon after, which repeats its jobs; the one after that does not", async () => {
        const shard = newShard();
        const id = await running(shard);
        await complete(shard, id, "a");
        const due = (await shard.due(id)) ?? 0;
        expect(due - (await shard.now())).toBeLessThanOrEqual(5000);
        for (const isRepeated of [true, false]) {
          await shard.setDue(id, 1);
          expect((await shard.take()).entries[0]).toMatchObject({ id, isRepeated });
          await shard.settle(id, { seen: 7 });
        }
      });

      test("is scheduled once, however often the completion is said", async () => {
        const shard = newShard();
        const id = await running(shard);
        const said = await Promise.all([complete(shard, id, "a"), complete(shard, id, "a")]);
        expect(said).toEqual([first, "recorded"]);
      });

      test.each<[string, (shard: Shard, id: string) => Promise<unknown>]>([
        ["by a failure", (shard, id) => shard.record(id, "a", writer, { kind: "failed" })],
        ["by a completion that is never quiet", (shard, id) => shard.record(id, "a", writer)],
        ["by a task that is handed back", (shard, id) => shard.record(id, "a", writer, { kind: "released" })],
        ["after a cancel", (shard, id) => shard.cancel(id).then(() => complete(shard, id, "a"))],
      ])("is not scheduled %s, but a look is asked for", async (_, end) => {
        const shard = newShard();
        const id = await running(shard);
        await end(shard, id);
        expect(await shard.types(id)).not.toContain("task.scheduled");
        expect((await shard.types(id)).filter((type) => type === "tasks.scheduled")).toHaveLength(1);
        expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
      });

      test("is not scheduled while a look is under way, and is gone after one that names none", async () => {
        const shard = newShard();
        const id = await running(shard);
        await shard.setDue(id, 1);
        await shard.take();
        expect(await complete(shard, id, "a")).toBe("recorded");
        expect(await shard.settle(id, { seen: 5, waves })).toBe("again");
        await shard.claim(id, "b");
        expect(await complete(shard, id, "b")).toBe("recorded");
      });
    });

    test("says again, and changes nothing, once another look has the workflow or it is gone", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const before = await shard.contents();
      expect(await Promise.all([shard.settle(id, { token: "old" }), shard.settle(shard.newId())])).toEqual([
        "lost",
        "lost",
      ]);
      expect(await shard.contents()).toEqual(before);
    });
  });

  describe("waking supervisors", () => {
    async function claimedTwice(shard: Shard) {
      const { id } = await shard.dispatched({ a: specText(), b: specText() });
      await shard.claim(id, "a");
      await shard.claim(id, "b");
      return id;
    }
    const writer = { epoch: 1, holder: "holder" };

    test("a due that is lowered wakes once, and what follows while that look is overdue does not", async () => {
      const shard = newShard();
      const wakes = await shard.listen();
      try {
        const [first, second] = [await claimedTwice(shard), await claimedTwice(shard)];
        expect(wakes.count()).toBe(0);
        await shard.record(first, "a", writer);
        await until(() => wakes.count() === 1);
        await shard.record(second, "a", writer);
        await shard.cancel(second);
        // Nothing is overdue any more: the next fact wakes, and it is the second word on the channel.
        for (const { id } of (await shard.take()).entries) await shard.settle(id, { seen: 100 });
        await shard.record(first, "b", writer);
        await until(() => wakes.count() === 2);
      } finally {
        wakes.stop();
      }
    });

    test("facts of one call wake once, and a fact of a workflow under a look does not", async () => {
      const shard = newShard();
      const wakes = await shard.listen();
      try {
        const ids = [await claimedTwice(shard), await claimedTwice(shard)];
        await Promise.all(ids.map((id) => shard.record(id, "a", writer)));
        await until(() => wakes.count() === 1);
        await shard.take();
        await Promise.all(ids.map((id) => shard.record(id, "b", writer)));
        await Promise.all(ids.map((id) => shard.settle(id, { seen: 100 })));
        await shard.cancel((await shard.dispatched()).id);
        await until(() => wakes.count() === 2);
      } finally {
        wakes.stop();
      }
    });
  });
}
