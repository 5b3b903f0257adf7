import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** A workflow whose task `a` has recorded an output beside the log, and whose tip is 6. */
async function source(shard: Shard): Promise<string> {
  const { id } = await shard.dispatched({ a: specText(), b: specText() });
  await shard.claim(id, "a");
  await shard.record(id, "a", writer, { output: "=beside" });
  return id;
}

/** The rules of `fork`. */
export function forkRules(newShard: () => Shard): void {
  describe("fork", () => {
    test("stores the shared lines with their times, a first line of its own, and what follows", async () => {
      const shard = newShard();
      const from = await source(shard);
      const { lines: shared = [] } = (await shard.load(from)) ?? {};
      const before = await shard.now();
      const [kind, id, status] = await shard.fork(from, { last: 6, facts: [{ type: "task.released" }] });
      expect([kind, status]).toEqual(["stored", "running"]);
      const loaded = await shard.load(id);
      expect(loaded).toMatchObject({ owner: "acme", status: "running", hasEnded: false, revision: 0, tip: 7 });
      expect(loaded?.lines.slice(1, 6)).toEqual(shared.slice(1, 6));
      const [first, last] = [loaded?.lines[0], loaded?.lines[6]];
      expect(first?.at).toBe(shared[0]?.at);
      expect(JSON.parse(first?.text ?? "")).toMatchObject({ data: { forkedFrom: { id: from, seq: 6 } } });
      const { data } = JSON.parse(first?.text ?? "") as { data: { forkedFrom: { at: number }; tenant: string } };
      expect(data.forkedFrom.at).toBeGreaterThanOrEqual(before);
      // What a client wrote stays as it is, whatever it looks like.
      expect(data.tenant).toBe('"at":0');
      expect(last).toMatchObject({ text: '{"type":"task.released"}' });
      expect(last?.at).toBeGreaterThanOrEqual(before);
    });

    test("takes outputs over, and the claims and specs that it is given", async () => {
      const shard = newShard();
      const from = await source(shard);
      const fields: [string, string][] = [
        ["spec:a", specText()],
        ["spec:b", specText()],
        ["claim:a", "1 1 1 1 recorded - 0 6"],
        ["claim:b", "1 1 0 0 revoked - 0 0"],
      ];
      const [, id] = await shard.fork(from, { last: 6, fields, outputs: ["a", "nothing"] });
      expect(await shard.output(id, "a")).toBe("=beside");
      expect(await shard.output(id, "b")).toBeNull();
      expect(await shard.claim(id, "a")).toEqual(["settled"]);
      expect(await shard.claim(id, "b")).toEqual(["superseded"]);
      await shard.take();
      await shard.commit(id, { revision: 0, claims: [["reopen", "b", 0, 1, 2]] });
      expect(await shard.claim(id, "b", { dispatch: 2 })).toMatchObject({ 0: "claimed" });
    });

    test("one that was under way is active, listed and due at once", async () => {
      const shard = newShard();
      const from = await source(shard);
      const active = Number(await shard.active());
      const [, id] = await shard.fork(from, { last: 6, tags: { team: "blue" } });
      expect(await shard.active()).toBe(active + 1);
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
      for (const query of [{}, { status: "running" }, { tag: "team=blue" }]) {
        expect((await shard.list(query))[0]).toBe(id);
      }
      const entry = (await shard.take()).entries.find((taken) => taken.id === id);
      expect(entry).toMatchObject({ revision: 0, isRepeated: false });
      expect(entry?.lines.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    });

    test("one that nobody had admitted waits for its admission", async () => {
      const shard = newShard();
      const from = await source(shard);
      const active = await shard.active();
      const [, id] = await shard.fork(from, { last: 1, status: "queued", firstLookMs: 5000 });
      expect(await shard.due(id)).toBeGreaterThan(await shard.now());
      expect(await shard.active()).toBe(active);
      expect(await shard.start([id])).toMatchObject([{ id, lines: [{ seq: 1 }, { seq: 2 }] }]);
    });

    test("leaves the source as it is", async () => {
      const shard = newShard();
      const from = await source(shard);
      const own = async () => Object.entries(await shard.contents()).filter(([key]) => key.includes(`:wf:${from}:`));
      const before = await own();
      await shard.fork(from, { last: 6, outputs: ["a"] });
      expect(await own()).toEqual(before);
    });

    test("a repeated key answers the first fork; with another body it is a conflict; nothing is stored", async () => {
      const shard = newShard();
      const from = await source(shard);
      const [, id] = await shard.fork(from, { last: 3, key: "k", body: "b" });
      const before = await shard.contents();
      expect(await shard.fork(from, { last: 3, key: "k", body: "b" })).toEqual(["repeated", id, "running"]);
      expect(await shard.fork(from, { last: 4, key: "k", body: "c" })).toEqual(["conflict", id]);
      expect(await shard.contents()).toEqual(before);
    });

    test("of another tenant's workflow, an unknown one, or lines that it does not have, stores nothing", async () => {
      const shard = newShard();
      const from = await source(shard);
      const before = await shard.contents();
      expect(await shard.fork(from, { last: 3, owner: "other" })).toBeNull();
      expect(await shard.fork(shard.newId(), { last: 3 })).toBeNull();
      expect(await shard.fork(from, { last: 7 })).toBeNull();
      expect(await shard.contents()).toEqual(before);
    });

    test("is forgotten with all that it has, and its source stays", async () => {
      const shard = newShard();
      const from = await source(shard);
      const kept = await shard.keys();
      const [, id] = await shard.fork(from, { last: 6, outputs: ["a"], tags: { team: "blue" } });
      await shard.take();
      await shard.commit(id, { revision: 0, seen: 6, status: "completed", ended: true });
      await shard.setDue(id, 1);
      await shard.take();
      expect(await shard.forget(id)).toBe(1);
      expect((await shard.keys()).filter((key) => !key.endsWith(":tick"))).toEqual(kept);
      expect(await shard.output(from, "a")).toBe("=beside");
    });

    test("a plan of two thousand tasks fits", async () => {
      const shard = newShard();
      const from = await source(shard);
      const names = Array.from({ length: 2000 }, (_, n) => `t${n}`);
      const fields = names.flatMap((name): [string, string][] => [
        [`spec:${name}`, specText()],
        [`claim:${name}`, "1 1 1 1 recorded - 0 6"],
      ]);
      await shard.connection.hset(shard.key(from, "out"), Object.fromEntries(names.map((name) => [name, `=${name}`])));
      const [, id] = await shard.fork(from, { last: 6, fields, outputs: names });
      expect(await shard.claim(id, "t1999")).toEqual(["settled"]);
      expect(await shard.output(id, "t1999")).toBe("=t1999");
    });
  });
}
