import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

/** The rules of `load`, `list`, `outputs`, `journal` and `forget`. */
export function readingRules(newShard: () => Shard): void {
  describe("load", () => {
    test("answers the lines from a place on, as many as asked for", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const seqs = async (from: number, most: number) =>
        (await shard.load(id, from, most))?.lines.map(({ seq }) => seq);
      expect(await seqs(1, 1000)).toEqual([1, 2, 3, 4]);
      expect(await seqs(3, 1000)).toEqual([3, 4]);
      expect(await seqs(2, 1)).toEqual([2]);
      expect(await seqs(5, 1000)).toEqual([]);
    });

    test("tells whether the workflow has ended, and nothing of an unknown one", async () => {
      const shard = newShard();
      expect(await shard.load(await shard.ended())).toMatchObject({ hasEnded: true, status: "completed", tip: 3 });
      expect(await shard.load(shard.newId())).toBeUndefined();
    });
  });

  describe("list", () => {
    test("is newest first, of one time by id, and goes on behind a place without gap or double", async () => {
      const shard = newShard();
      const ids = await Promise.all(Array.from({ length: 25 }, async () => (await shard.submit())[1]));
      const [, later] = await shard.submit();
      const whole = await shard.list();
      expect(whole.toSorted()).toEqual([...ids, later].toSorted());
      const created = new Map(
        await Promise.all(
          whole.map(async (id) => [id, await shard.connection.hget(shard.key(id, "index"), "createdAt")] as const),
        ),
      );
      expect(new Set(created.values()).size).toBeLessThan(25);
      const paged: string[] = [];
      for (let place = { newest: "+inf", before: "" }; ;) {
        const page = await shard.list({ most: 4, ...place });
        paged.push(...page);
        const last = page.at(-1);
        if (last === undefined) break;
        place = { newest: created.get(last) ?? "", before: last };
      }
      expect(paged).toEqual(whole);
    });

    test("by status follows every change of status", async () => {
      const shard = newShard();
      const [, queued] = await shard.submit();
      const { id: running } = await shard.dispatched();
      const completed = await shard.ended();
      const failed = await shard.ended({}, "failed");
      for (const [status, id] of Object.entries({ queued, running, completed, failed })) {
        expect(await shard.list({ status })).toEqual([id]);
      }
      expect(await shard.list({ status: "waiting" })).toEqual([]);
    });

    test("by tag holds what has that tag, whatever its status, and with a status both", async () => {
      const shard = newShard();
      const [, blue] = await shard.submit({ tags: { team: "blue", "a/b": "c.d" } });
      const ended = await shard.ended({ tags: { team: "blue" } });
      await shard.submit({ tags: { team: "red" } });
      expect((await shard.list({ tag: "team=blue" })).toSorted()).toEqual([blue, ended].toSorted());
      expect(await shard.list({ tag: "team=blue", status: "completed" })).toEqual([ended]);
      expect(await shard.list({ tag: "a/b=c.d" })).toEqual([blue]);
    });

    test("an entry says how things stand", async () => {
      const shard = newShard();
      const id = await shard.ended({ priority: "high", tags: { team: "blue" } });
      const [entry] = (await shard.item("list", ["acme", "", "", 1, "+inf", ""])) as string[][];
      const at = expect.stringMatching(/^\d{13}$/) as string;
      expect(entry).toEqual([id, "completed", "high", '{"team":"blue"}', at, at, at]);
    });
  });

  describe("outputs and journal", () => {
    test("answer what was recorded, and nothing for what was not", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      const writer = { epoch: 1, holder: "holder" };
      await shard.keepStep(id, "a", writer, "one", "1");
      await shard.keepStep(id, "a", writer, "two", "2");
      await shard.record(id, "a", writer, { output: "=5" });
      expect(await Promise.all([shard.output(id, "a"), shard.output(id, "b")])).toEqual(["=5", null]);
      expect(await shard.journal(id, "a")).toEqual(["one", "1", "two", "2"]);
      expect(await shard.journal(id, "b")).toEqual([]);
    });

    test("an output that only the log holds is answered by the line of its completion", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched({ a: specText(), b: specText() });
      await shard.claim(id, "a");
      await shard.claim(id, "b");
      await shard.record(id, "b", { epoch: 1, holder: "holder" }, { kind: "failed" });
      await shard.record(id, "a", { epoch: 1, holder: "holder" });
      const line = (await shard.load(id))?.lines.at(-1)?.text ?? "";
      expect(line).toContain("task.completed");
      expect(await Promise.all([shard.output(id, "a"), shard.output(id, "b")])).toEqual([`#${line}`, null]);
    });
  });

  describe("forget", () => {
    test("leaves no key of the workflow behind, and no entry in any list", async () => {
      const shard = newShard();
      const [, id] = await shard.submit({ tags: { team: "blue" } });
      await shard.start([id], "first");
      await shard.commit(id, { revision: 1, specs: { a: specText(), b: specText() }, input: '"x"' });
      for (const task of ["a", "b"]) {
        await shard.claim(id, task);
        await shard.keepStep(id, task, { epoch: 1, holder: "holder" }, "one", "1");
      }
      await shard.record(id, "a", { epoch: 1, holder: "holder" }, { output: "=5" });
      const seen = (await shard.load(id))?.tip ?? 0;
      await shard.commit(id, { revision: 2, seen, status: "failed", ended: true });
      await shard.setDue(id, 1);
      expect((await shard.keys()).filter((key) => key.includes(id))).toEqual(
        ["changes", "index", "journal:a", "journal:b", "log", "out"].map((name) => shard.key(id, name)),
      );
      await shard.calm();
      expect((await shard.take()).entries).toMatchObject([{ id, revision: -1 }]);
      expect(await shard.forget(id)).toBe(1);
      // The lease of `b`, which nobody ended, goes when it would have run out.
      await shard.expireLease(id, "b");
      await shard.take();
      expect(await shard.keys()).toEqual([`${shard.tag}:tick`]);
    });

    test("does nothing while the workflow is open, nor for a look that has lost it", async () => {
      const shard = newShard();
      const { id: open } = await shard.dispatched();
      const ended = await shard.ended();
      await shard.setDue(open, 1);
      await shard.take({ token: "mine" });
      const before = await shard.contents();
      expect(await Promise.all([shard.forget(open, "mine"), shard.forget(ended, "other")])).toEqual([0, 0]);
      expect(await shard.contents()).toEqual(before);
    });
  });
}
