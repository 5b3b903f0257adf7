import { until } from "@flotilla/testkit";
import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** A failed workflow whose task `done` has recorded, `held` is claimed, and `queued` is dispatched. */
async function failed(shard: Shard, status = "failed") {
  const { id, revision } = await shard.dispatched({ done: specText(), held: specText(), queued: specText() });
  await shard.claim(id, "done");
  await shard.record(id, "done", writer, { output: "=1" });
  await shard.claim(id, "held");
  await shard.setDue(id, 1);
  await shard.take({ token: "last" });
  const end = { token: "last", revision, seen: 7, status, ended: true, events: [{ type: `workflow.${status}` }] };
  expect(await shard.commit(id, end)).toMatchObject({ 0: "ok" });
  return { id, revision: revision + 1, seen: 8 };
}

/** The rules of `retry`. */
export function retryRules(newShard: () => Shard): void {
  describe("retry", () => {
    test.each(["failed", "aborted"])("opens a workflow that is %s again, in one step", async (status) => {
      const shard = newShard();
      const { id, seen } = await failed(shard, status);
      expect(await shard.active()).toBe(0);
      expect(await shard.retry(id)).toEqual(["retried", "running"]);
      expect(await shard.load(id)).toMatchObject({ status: "running", hasEnded: false, tip: seen + 1 });
      expect((await shard.types(id)).at(-1)).toBe("retry.requested");
      expect(await shard.active()).toBe(1);
      expect(await shard.list({ status })).toEqual([]);
      expect(await shard.list({ status: "running" })).toEqual([id]);
      expect(await shard.list()).toEqual([id]);
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
      const [entry] = (await shard.take()).entries;
      expect(entry).toMatchObject({ id, isRepeated: false });
      expect(entry?.lines.at(-1)?.seq).toBe(seen + 1);
    });

    test("wakes the supervisors", async () => {
      const shard = newShard();
      const { id } = await failed(shard);
      const wakes = await shard.listen();
      try {
        await shard.retry(id);
        await until(() => wakes.count() === 1);
      } finally {
        wakes.stop();
      }
    });

    test("refuses what has not ended, what is completed or cancelled, and a second one, and changes nothing", async () => {
      const shard = newShard();
      const [, queued] = await shard.submit();
      const { id: running } = await shard.dispatched();
      const { id: retried } = await failed(shard);
      await shard.retry(retried);
      const ids = [queued, running, await shard.ended(), await shard.ended({}, "cancelled"), retried];
      const before = await shard.contents();
      expect(await Promise.all(ids.map((id) => shard.retry(id)))).toEqual([
        ["refused", "queued"],
        ["refused", "running"],
        ["refused", "completed"],
        ["refused", "cancelled"],
        ["refused", "running"],
      ]);
      expect(await shard.contents()).toEqual(before);
    });

    test("two in one call retry once", async () => {
      const shard = newShard();
      const { id } = await failed(shard);
      const answers = await Promise.all([shard.retry(id), shard.retry(id)]);
      expect(answers).toEqual([
        ["retried", "running"],
        ["refused", "running"],
      ]);
    });

    test("under one key retries once, also when its workflow has failed again; another key retries again", async () => {
      const shard = newShard();
      const { id, revision, seen } = await failed(shard);
      expect(await shard.retry(id, { key: "k" })).toEqual(["retried", "running"]);
      expect(await shard.retry(id, { key: "k" })).toEqual(["repeated", "running"]);
      await shard.take({ token: "again" });
      await shard.commit(id, { token: "again", revision, seen: seen + 1, status: "failed", ended: true });
      const before = await shard.contents();
      expect(await shard.retry(id, { key: "k" })).toEqual(["repeated", "failed"]);
      expect(await shard.contents()).toEqual(before);
      expect(await shard.retry(id, { key: "another" })).toEqual(["retried", "running"]);
    });

    test("another tenant's workflow is as one that does not exist", async () => {
      const shard = newShard();
      const { id } = await failed(shard);
      const before = await shard.contents();
      expect(await shard.retry(id, { owner: "other" })).toBeNull();
      expect(await shard.retry(shard.newId())).toBeNull();
      expect(await shard.contents()).toEqual(before);
    });

    test("closes every open claim until it is dispatched anew, and leaves what is recorded", async () => {
      const shard = newShard();
      const { id, revision } = await failed(shard);
      await shard.retry(id);
      expect(await shard.lease(id, "held")).toBeUndefined();
      expect(await shard.claim(id, "held", { holder: "next" })).toEqual(["superseded"]);
      expect(await shard.claim(id, "queued", { holder: "next" })).toEqual(["superseded"]);
      expect(await shard.claim(id, "done", { holder: "next" })).toEqual(["settled"]);
      expect(await shard.output(id, "done")).toBe("=1");
      await shard.take({ token: "again" });
      const claims: Parameters<Shard["commit"]>[1]["claims"] = [
        ["reopen", "held", 1, 2, 1],
        ["reopen", "queued", 0, 1, 2],
      ];
      expect(await shard.commit(id, { token: "again", revision, claims })).toMatchObject({ 0: "ok" });
      expect(await shard.claim(id, "held", { holder: "old job" })).toEqual(["superseded"]);
      expect(await shard.claim(id, "queued", { holder: "old job" })).toEqual(["superseded"]);
      expect(await shard.claim(id, "held", { attempt: 2, holder: "new job" })).toMatchObject({
        0: "claimed",
        1: 2,
        2: 1,
      });
      expect(await shard.claim(id, "queued", { dispatch: 2, holder: "new job" })).toMatchObject({
        0: "claimed",
        1: 1,
        2: 1,
      });
    });

    test("keeps the journals", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.keepStep(id, "a", writer, "one", "1");
      await shard.commit(id, { revision, seen: 5, status: "failed", ended: true });
      await shard.retry(id);
      expect(await shard.journal(id, "a")).toEqual(["one", "1"]);
    });

    test("a look from before the end has lost the workflow, and moves its due no more", async () => {
      const shard = newShard();
      const { id, seen } = await failed(shard);
      await shard.retry(id);
      expect(await shard.settle(id, { token: "last", nextLook: 9_000_000_000_000, seen })).toBe("lost");
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("a look that took the workflow to forget it does not, once it is retried", async () => {
      const shard = newShard();
      const { id, seen } = await failed(shard);
      await shard.setDue(id, 1);
      expect((await shard.take({ token: "retention" })).entries).toMatchObject([{ id, revision: -1 }]);
      await shard.retry(id);
      expect(await shard.forget(id, "retention")).toBe(0);
      expect((await shard.take({ token: "next" })).entries).toMatchObject([{ id, isRepeated: false }]);
      expect(await shard.forget(id, "next")).toBe(0);
      expect((await shard.load(id))?.tip).toBe(seen + 1);
    });

    test("a decision from before the end is stale after a retry", async () => {
      const shard = newShard();
      const { id, revision, seen } = await failed(shard);
      await shard.retry(id);
      for (const decided of [revision - 1, revision]) {
        const late = { token: "last", revision: decided, seen, status: "failed", ended: true };
        expect(await shard.commit(id, late)).toEqual(["stale"]);
      }
      expect((await shard.load(id))?.hasEnded).toBe(false);
    });

    test("a workflow that has ended again is forgotten with all that it has", async () => {
      const shard = newShard();
      const { id, revision, seen } = await failed(shard);
      await shard.retry(id, { key: "k" });
      await shard.take({ token: "again" });
      const end = { revision, seen: seen + 1, status: "completed", ended: true, events: [{ type: "x" }] };
      await shard.commit(id, { token: "again", ...end });
      await shard.setDue(id, 1);
      await shard.take();
      expect(await shard.forget(id)).toBe(1);
      expect((await shard.keys()).filter((key) => !key.endsWith(":tick"))).toEqual([]);
    });

    test("a plan of two thousand tasks fits", async () => {
      const shard = newShard();
      const names = Array.from({ length: 2000 }, (_, n) => `t${n}`);
      const { id, revision } = await shard.dispatched(Object.fromEntries(names.map((name) => [name, specText()])));
      await Promise.all(names.map((name) => shard.claim(id, name, { holder: name })));
      await shard.commit(id, { revision, seen: 2004, status: "failed", ended: true });
      expect(await shard.retry(id)).toEqual(["retried", "running"]);
      expect(await shard.connection.zcard(`${shard.tag}:leases`)).toBe(0);
      expect(await shard.claim(id, "t1999", { holder: "next" })).toEqual(["superseded"]);
    });
  });
}
