import { describe, expect, test } from "vitest";
import { restore } from "../../src/archive/restore.ts";
import { takeSnapshot } from "../../src/archive/snapshot.ts";
import { mergeRecords } from "../../src/archive/archive.ts";
import { parseLines } from "../../src/log.ts";
import { type Reply, Scripts } from "../../src/scripts.ts";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** The rules of `relay`, `snapshot`, `shipped` and `restore`, and of `forget` where there is an archive. */
export function archiveRules(newShard: () => Shard): void {
  const relay = async (shard: Shard, most = 64) => {
    const [turns, , ...ids] = (await shard.call("relay", [most, 5000, 1000])) as [number, number, ...string[]];
    return { turns, ids };
  };
  const setTurn = (shard: Shard, id: string) => shard.connection.zadd(`${shard.tag}:relay`, "XX", 1, id);
  const turnOf = (shard: Shard, id: string) => shard.connection.zscore(`${shard.tag}:relay`, id);
  const shipped = (shard: Shard, id: string, seq: number, changes = 0, end = 0) =>
    shard.item("shipped", [id, seq, changes, 0, end], [1000, 0]);

  describe("relay", () => {
    test("takes what has its turn and is not archived as it is, and holds it", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched();
      expect(await relay(shard)).toEqual({ turns: 0, ids: [] });
      await setTurn(shard, id);
      expect(await relay(shard)).toEqual({ turns: 1, ids: [id] });
      expect(await relay(shard)).toEqual({ turns: 0, ids: [] });
      await shipped(shard, id, seen);
      await setTurn(shard, id);
      expect(await relay(shard)).toEqual({ turns: 1, ids: [] });
      await shard.claim(id, "a");
      await setTurn(shard, id);
      expect((await relay(shard)).ids).toEqual([id]);
    });

    test("sees a step, which the log does not show", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      const tip = (await shard.load(id))?.tip ?? 0;
      await shipped(shard, id, tip);
      await shard.keepStep(id, "a", writer, "one", "1");
      await setTurn(shard, id);
      expect((await relay(shard)).ids).toEqual([id]);
      await shipped(shard, id, tip, 1);
      await setTurn(shard, id);
      expect((await relay(shard)).ids).toEqual([]);
    });

    test("is done with a workflow when its end is archived, and has it again after a retry", async () => {
      const shard = newShard();
      const id = await shard.ended({}, "failed");
      const tip = (await shard.load(id))?.tip ?? 0;
      await shipped(shard, id, tip, 0, 0);
      expect(await turnOf(shard, id)).not.toBeNull();
      await shipped(shard, id, tip, 0, 1);
      expect(await turnOf(shard, id)).toBeNull();
      await shard.retry(id);
      expect((await relay(shard)).ids).toEqual([id]);
    });

    test("of an end that was retried meanwhile the archive has not the end", async () => {
      const shard = newShard();
      const id = await shard.ended({}, "failed");
      const tip = (await shard.load(id))?.tip ?? 0;
      await shard.retry(id);
      await shipped(shard, id, tip, 0, 1);
      expect(await turnOf(shard, id)).not.toBeNull();
    });
  });

  test("nothing is forgotten before it is archived", async () => {
    const shard = newShard();
    const id = await shard.ended();
    const forget = async () => {
      await shard.setDue(id, 1);
      await shard.take();
      return shard.item("forget", [id, "look"], [1, 0, 5000]);
    };
    expect(await forget()).toBe(0);
    expect(await shard.load(id)).toMatchObject({ hasEnded: true });
    await shipped(shard, id, (await shard.load(id))?.tip ?? 0, 0, 1);
    expect(await forget()).toBe(1);
    expect(await shard.load(id)).toBeUndefined();
  });

  describe("export", () => {
    const take = async (shard: Shard, { holder = "a", holdMs = 5000, lines = 1000 } = {}) => {
      const reply = await shard.call("export", [holder, holdMs, 64, lines, 1_000_000]);
      const [lateMs, more, ...workflows] = reply as [number, number, ...[string, string, number, Reply][]];
      const seqs = workflows.map(([id, , , found]) => [id, parseLines(found).map(({ seq }) => seq)]);
      return { lateMs, hasMore: more === 1, seqs };
    };
    const exported = (shard: Shard, id: string, seq: number) => shard.item("exported", [id, seq]);

    test("takes what is archived and not exported, from the cursor on", async () => {
      const shard = newShard();
      await take(shard);
      const { id } = await shard.dispatched();
      expect((await take(shard)).seqs).toEqual([]);
      await shipped(shard, id, 3);
      expect((await take(shard)).seqs).toEqual([[id, [1, 2, 3]]]);
      await exported(shard, id, 3);
      expect((await take(shard)).seqs).toEqual([]);
      await shipped(shard, id, 4);
      expect((await take(shard)).seqs).toEqual([[id, [4]]]);
      await exported(shard, id, 4);
      // One that was thought dead comes late.
      await exported(shard, id, 2);
      await shipped(shard, id, 4);
      expect(await take(shard)).toEqual({ lateMs: 0, hasMore: false, seqs: [] });
    });

    test("goes on where it stopped when it may take only so much", async () => {
      const shard = newShard();
      await take(shard);
      const { id } = await shard.dispatched();
      await shipped(shard, id, 4);
      expect(await take(shard, { lines: 3 })).toMatchObject({ hasMore: true, seqs: [[id, [1, 2, 3]]] });
      await exported(shard, id, 3);
      expect(await take(shard, { lines: 3 })).toMatchObject({ hasMore: false, seqs: [[id, [4]]] });
    });

    test("gives a shard to one supervisor, and to another one when its time is over", async () => {
      const shard = newShard();
      await take(shard, { holdMs: 60_000 });
      const { id } = await shard.dispatched();
      await shipped(shard, id, 4);
      expect((await take(shard, { holder: "b" })).seqs).toEqual([]);
      await shard.connection.hset(`${shard.tag}:exporter`, "until", 1);
      expect((await take(shard, { holder: "b" })).seqs).toEqual([[id, [1, 2, 3, 4]]]);
      expect((await take(shard)).seqs).toEqual([]);
    });

    test("nothing is forgotten before it is exported, also what ended when nothing was exported yet", async () => {
      const shard = newShard();
      const id = await shard.ended();
      const tip = (await shard.load(id))?.tip ?? 0;
      await shipped(shard, id, tip, 0, 1);
      const forget = async (hasExport: 0 | 1 = 1, forgotten = id) => {
        await shard.setDue(forgotten, 1);
        await shard.take();
        return shard.item("forget", [forgotten, "look"], [1, hasExport, 5000]);
      };
      expect((await take(shard)).seqs).toEqual([]);
      expect(await forget()).toBe(0);
      expect((await take(shard)).seqs).toEqual([[id, [1, 2, 3]]]);
      expect(await forget()).toBe(0);
      await exported(shard, id, tip);
      expect(await forget()).toBe(1);
      // The control: where events are not exported, nothing waits for it.
      const other = await shard.ended();
      await shipped(shard, other, (await shard.load(other))?.tip ?? 0, 0, 1);
      expect(await forget(0, other)).toBe(1);
      expect((await shard.keys()).filter((key) => key.includes("export") && !key.endsWith("exporter"))).toEqual([]);
    });

    test("where nobody exports, nothing is queued for it", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shipped(shard, id, 4);
      expect(await shard.connection.exists(`${shard.tag}:export`)).toBe(0);
    });
  });

  test("a snapshot holds the lines from a place on, and what has changed since", async () => {
    const shard = newShard();
    const scripts = new Scripts(shard.connection);
    const [, id] = await shard.submit({ key: "k", body: "b" });
    await shard.start([id], "first");
    await shard.commit(id, { revision: 1, specs: { a: specText(), b: specText() }, input: '"x"' });
    for (const task of ["a", "b"]) {
      await shard.claim(id, task);
      await shard.keepStep(id, task, writer, "one", `"${task}"`);
    }
    await shard.record(id, "a", writer, { output: "=5" });
    const all = await takeSnapshot(scripts, id, { from: 1, since: 0 });
    expect(all).toMatchObject({
      journals: { a: { one: '"a"' }, b: { one: '"b"' } },
      outputs: { a: "=5" },
      idempotency: { value: expect.stringContaining(id) },
      fields: { tenant: "acme", changes: "3", "claim:a": expect.stringContaining("recorded") },
    });
    expect(all?.fields).not.toHaveProperty(["spec:a"]);
    expect(all?.fields).not.toHaveProperty("input");
    expect(all?.lines.map(({ seq }) => seq)).toEqual(all?.lines.map((_, index) => index + 1));
    const since = await takeSnapshot(scripts, id, { from: 4, since: 1 });
    expect(since).toMatchObject({ journals: { b: {} }, outputs: { a: "=5" } });
    expect(since?.journals).not.toHaveProperty("a");
    expect(since?.lines[0]?.seq).toBe(4);
    await shipped(shard, id, 3, 2);
    expect(await takeSnapshot(scripts, id, { from: 1, since: "shipped" })).toMatchObject({
      journals: {},
      outputs: { a: "=5" },
    });
    expect(await takeSnapshot(scripts, shard.newId(), { from: 1, since: 0 })).toBeUndefined();
  });

  test("a restored workflow is there once, in its lists and due, and one that is there stays as it is", async () => {
    const shard = newShard();
    const scripts = new Scripts(shard.connection);
    const id = shard.newId();
    const request = { input: "x", agent: "probe", tags: { team: "red" } };
    const history = mergeRecords(
      id,
      [
        {
          format: 1,
          kind: "tail",
          labels: [],
          workflowId: id,
          incarnation: 1,
          from: 1,
          to: 2,
          at: 5,
          fields: { tenant: "acme", status: "running", createdAt: "5", revision: "1", idempotency: "" },
          lines: [
            [1, 5, JSON.stringify({ type: "workflow.submitted", data: { tenant: "acme", request } })],
            [2, 6, JSON.stringify({ type: "workflow.started", data: {} })],
          ],
          journals: { main: { one: "1" } },
          outputs: {},
        },
      ],
      [],
    );
    if (!history) throw new Error("no history");
    const times = { now: 10, keptUntil: 0 };
    expect((await restore(scripts, history, times)).outcome).toBe("restored");
    const before = await shard.contents();
    expect((await restore(scripts, history, times)).outcome).toBe("present");
    expect(await shard.contents()).toEqual(before);
    expect(await shard.load(id)).toMatchObject({ status: "running", tip: 2, revision: 1 });
    expect(await shard.list({ tag: "team=red" })).toEqual([id]);
    expect(await shard.active()).toBe(1);
    expect(await shard.journal(id, "main")).toEqual(["one", "1"]);
    expect((await shard.take()).entries).toMatchObject([{ id, revision: 1, isRepeated: true }]);
  });
}
