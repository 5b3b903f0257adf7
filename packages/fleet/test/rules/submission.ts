import { describe, expect, test } from "vitest";
import type { Shard } from "../shard.ts";

/** The rules of `submit`, `start`, `active` and `append`. */
export function submissionRules(newShard: () => Shard): void {
  describe("submit", () => {
    test("stores the log, the index, the lists and the first look in one step", async () => {
      const shard = newShard();
      const before = await shard.now();
      const id = shard.newId();
      expect(await shard.submit({ id, tags: { team: "blue" }, firstLookMs: 5000 })).toEqual(["stored", id, "queued"]);
      const loaded = await shard.load(id);
      expect(loaded).toMatchObject({ owner: "acme", status: "queued", hasEnded: false, revision: 0, tip: 1 });
      expect(await shard.types(id)).toEqual(["workflow.submitted"]);
      expect(await shard.due(id)).toBeGreaterThanOrEqual(before + 5000);
      for (const query of [{}, { status: "queued" }, { tag: "team=blue" }])
        expect(await shard.list(query)).toEqual([id]);
      expect(await shard.list({ owner: "other" })).toEqual([]);
    });

    test("a repeated key with the same body answers the first id and the status of now, and stores nothing", async () => {
      const shard = newShard();
      const [, id] = await shard.submit({ key: "k", body: "b" });
      await shard.start([id]);
      const stored = await shard.contents();
      expect(await shard.submit({ key: "k", body: "b" })).toEqual(["repeated", id, "running"]);
      expect(await shard.contents()).toEqual(stored);
    });

    test("a repeated key with another body is a conflict that names the first id", async () => {
      const shard = newShard();
      const [, id] = await shard.submit({ key: "k", body: "b" });
      expect(await shard.submit({ key: "k", body: "other" })).toEqual(["conflict", id]);
    });

    test("one key a hundred times in one call stores one workflow", async () => {
      const shard = newShard();
      const answers = await Promise.all(Array.from({ length: 100 }, () => shard.submit({ key: "k", body: "b" })));
      expect(new Set(answers.map(([, id]) => id)).size).toBe(1);
      expect(answers.filter(([kind]) => kind === "stored")).toHaveLength(1);
      expect(await shard.list()).toHaveLength(1);
    });

    test("a key belongs to its tenant", async () => {
      const shard = newShard();
      await shard.submit({ key: "k", body: "b" });
      expect(await shard.submit({ owner: "other", key: "k", body: "b" })).toMatchObject([
        "stored",
        expect.any(String),
        "queued",
      ]);
    });

    test("a key outlives its workflow and still tells how that ended", async () => {
      const shard = newShard();
      const id = await shard.ended({ key: "k", body: "b" }, "failed");
      await shard.take();
      await shard.forget(id);
      expect(await shard.load(id)).toBeUndefined();
      expect(await shard.submit({ key: "k", body: "b" })).toEqual(["repeated", id, "failed"]);
      expect(await shard.submit({ key: "k", body: "c" })).toEqual(["conflict", id]);
    });

    test("a key is forgotten after its lifetime", async () => {
      const shard = newShard();
      await shard.submit({ key: "k", body: "b", lifetimeMs: 60_000 });
      const [name = ""] = (await shard.keys()).filter((key) => key.includes(":idem:"));
      expect(await shard.connection.pttl(name)).toBeGreaterThan(50_000);
      await shard.connection.pexpire(name, 0);
      expect(await shard.submit({ key: "k", body: "c" })).toMatchObject(["stored", expect.any(String), "queued"]);
    });
  });

  describe("start", () => {
    test("admits a queued workflow and takes it for the look of the caller, log and all", async () => {
      const shard = newShard();
      const [, id] = await shard.submit();
      const [entry] = await shard.start([id], "mine", 5000);
      expect(entry).toMatchObject({ id, revision: 1, isRepeated: false, lines: [{ seq: 1 }, { seq: 2 }] });
      expect(await shard.load(id)).toMatchObject({ status: "running", revision: 1, tip: 2 });
      expect(await shard.list({ status: "queued" })).toEqual([]);
      expect(await shard.list({ status: "running" })).toEqual([id]);
      expect(await shard.active()).toBe(1);
      expect(await shard.due(id)).toBeLessThanOrEqual((await shard.now()) + 5000);
      expect(await shard.settle(id, { token: "mine", seen: 2 })).toBe("settled");
    });

    test("starts nothing twice, nor what is unknown, cancelled, ended or under a look", async () => {
      const shard = newShard();
      const [, started] = await shard.submit();
      await shard.start([started]);
      const { id: settled } = await shard.dispatched();
      const [, cancelled] = await shard.submit();
      await shard.cancel(cancelled);
      const ended = await shard.ended();
      const [, looked] = await shard.submit({ firstLookMs: 0 });
      await shard.take();
      const before = await shard.contents();
      const refused = [started, settled, shard.newId(), cancelled, ended, looked];
      expect(await shard.start(refused)).toEqual(refused.map(() => undefined));
      expect(await shard.contents()).toEqual(before);
    });

    test("a workflow whose look was cut off after the start is due again, as a repeated one", async () => {
      const shard = newShard();
      const [, id] = await shard.submit();
      await shard.start([id], "dead", 0);
      expect((await shard.take()).entries).toMatchObject([{ id, revision: 1, isRepeated: true }]);
    });
  });

  describe("active", () => {
    test("counts what was started and has not ended", async () => {
      const shard = newShard();
      await shard.submit();
      const [, running] = await shard.submit();
      await shard.start([running]);
      await shard.ended();
      expect(await shard.active()).toBe(1);
    });
  });

  describe("append", () => {
    test("a cancel is one line, one flag and a look at once, and tells the status", async () => {
      const shard = newShard();
      const [, id] = await shard.submit();
      expect(await shard.cancel(id)).toBe("queued");
      expect(await shard.types(id)).toEqual(["workflow.submitted", "cancel.requested"]);
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("a cancel that comes while a look has the workflow is left to the end of that look", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      await shard.setDue(id, 1);
      await shard.take();
      const due = await shard.due(id);
      await shard.cancel(id);
      expect(await shard.due(id)).toBe(due);
      expect(await shard.settle(id, { seen })).toBe("again");
    });

    test("a second cancel, and one after the end, changes nothing", async () => {
      const shard = newShard();
      const [, id] = await shard.submit();
      const ended = await shard.ended();
      await shard.cancel(id);
      const before = await shard.contents();
      expect(await shard.cancel(id)).toBe("queued");
      expect(await shard.cancel(ended)).toBe("completed");
      expect(await shard.contents()).toEqual(before);
    });

    test("another tenant's workflow is as one that does not exist", async () => {
      const shard = newShard();
      const [, id] = await shard.submit();
      const before = await shard.contents();
      expect(await shard.cancel(id, "other")).toBeNull();
      expect(await shard.cancel(shard.newId())).toBeNull();
      expect(await shard.contents()).toEqual(before);
    });
  });
}
