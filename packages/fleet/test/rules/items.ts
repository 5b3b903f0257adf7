import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

interface Parked {
  id: string;
  revision: number;
  /** Place of the line that opened the item. */
  seq: number;
}

const held = { epoch: 1, holder: "holder" };

/** A workflow whose only task has left an effect in doubt, its intent in the journal. */
async function parked(shard: Shard): Promise<Parked> {
  const { id, revision, seen } = await shard.dispatched({ a: specText(), b: specText() });
  await shard.claim(id, "a");
  await shard.write(id, "a", held, "intent", "pay", '{"intent":{}}');
  expect(await shard.park(id, "a", held)).toBe("recorded");
  return { id, revision, seq: seen + 2 };
}

/** What is known of the items of a shard, wherever it stands. */
async function itemsOf(shard: Shard, id: string) {
  return {
    listed: await shard.items(),
    counted: await shard.call("open-items", []),
    index: await shard.connection.hget(shard.key(id, "index"), "items"),
  };
}

/** Rules of the scripts around effects and the items that wait for a person. */
export function itemRules(newShard: () => Shard): void {
  describe("an intent", () => {
    test("stands until its outcome comes in its place, and a repeated one changes nothing", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      expect(await shard.write(id, "a", held, "intent", "pay", "first")).toBe("kept");
      expect(await shard.write(id, "a", held, "intent", "pay", "second")).toBe("kept");
      expect(await shard.journal(id, "a")).toEqual(["pay", "first"]);
      await shard.write(id, "a", held, "outcome", "pay", "done");
      await shard.write(id, "a", held, "intent", "pay", "late");
      expect(await shard.journal(id, "a")).toEqual(["pay", "done"]);
    });

    test("is gone once it is withdrawn", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.write(id, "a", held, "intent", "pay", "first");
      expect(await shard.write(id, "a", held, "withdrawal", "pay", "")).toBe("kept");
      expect(await shard.journal(id, "a")).toEqual([]);
    });
  });

  describe("parking a task", () => {
    test("ends its claim and its lease, opens the item and asks for a look, in one step", async () => {
      const shard = newShard();
      const { id, seq } = await parked(shard);
      expect(await shard.types(id)).toHaveLength(seq);
      expect(await itemsOf(shard, id)).toEqual({
        listed: [`${id}.${seq}`],
        counted: ["outcome-unknown", "1"],
        index: `${seq}:outcome-unknown `,
      });
      expect(await shard.lease(id, "a")).toBeUndefined();
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
      expect(await shard.claim(id, "a", { holder: "next" })).toEqual(["superseded"]);
    });

    test("repeated because its answer was lost opens no second item", async () => {
      const shard = newShard();
      const { id } = await parked(shard);
      const before = await shard.contents();
      expect(await shard.park(id, "a", held)).toBe("superseded");
      expect(await shard.contents()).toEqual(before);
    });
  });

  describe("settling an item", () => {
    test("takes it from the inbox, changes the journal and asks for a look, in one step", async () => {
      const shard = newShard();
      const { id, seq } = await parked(shard);
      await shard.setDue(id, Number.MAX_SAFE_INTEGER);
      expect(await shard.answer(id, seq, { entry: "happened" })).toBeTypeOf("number");
      expect(await itemsOf(shard, id)).toEqual({ listed: [], counted: [], index: "" });
      expect(await shard.journal(id, "a")).toEqual(["pay", "happened"]);
      expect(await shard.connection.zcount(shard.key(id, "changes"), 2, "+inf")).toBe(1);
      expect((await shard.types(id)).at(-1)).toBe("item.settled");
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("without an entry takes the intent back; without a step leaves the journal alone", async () => {
      const shard = newShard();
      const [gone, left] = [await parked(shard), await parked(shard)];
      await shard.answer(gone.id, gone.seq, { entry: "" });
      expect(await shard.journal(gone.id, "a")).toEqual([]);
      await shard.answer(left.id, left.seq, { step: "" });
      expect(await shard.journal(left.id, "a")).toEqual(["pay", '{"intent":{}}']);
    });

    test("is done by one of many who ask together", async () => {
      const shard = newShard();
      const { id, seq } = await parked(shard);
      const answers = await Promise.all(Array.from({ length: 20 }, () => shard.answer(id, seq)));
      expect(answers.filter((answer) => answer !== "settled")).toHaveLength(1);
      expect((await shard.types(id)).filter((type) => type === "item.settled")).toHaveLength(1);
    });

    test.each<[string, (shard: Shard, parked: Parked) => Promise<unknown>]>([
      ["a cancel", (shard, { id }) => shard.cancel(id)],
      [
        "the end of its workflow",
        (shard, { id, revision, seq }) =>
          shard.commit(id, { token: "", revision, seen: seq, status: "failed", ended: true }),
      ],
    ])("is too late after %s, and changes nothing", async (_, close) => {
      const shard = newShard();
      const task = await parked(shard);
      await close(shard, task);
      const before = await shard.contents();
      expect(await shard.answer(task.id, task.seq)).toBe("settled");
      expect(await shard.contents()).toEqual(before);
    });

    test("again with the same word gets the same answer and changes nothing, even after the end", async () => {
      const shard = newShard();
      const { id, revision, seq } = await parked(shard);
      const at = await shard.answer(id, seq, { word: "mine" });
      expect(at).toBeTypeOf("number");
      await shard.commit(id, { token: "", revision, seen: seq + 1, status: "failed", ended: true });
      const before = await shard.contents();
      expect(await shard.answer(id, seq, { word: "mine" })).toBe(at);
      expect(await shard.answer(id, seq, { word: "another" })).toBe("settled");
      expect(await shard.answer(id, seq, { word: "mine", owner: "other" })).toBeNull();
      expect(await shard.contents()).toEqual(before);
    });

    test("knows nothing of another tenant's workflow, nor of one that is not there", async () => {
      const shard = newShard();
      const { id, seq } = await parked(shard);
      const before = await shard.contents();
      expect(await shard.answer(id, seq, { owner: "other" })).toBeNull();
      expect(await shard.answer(shard.newId(), seq)).toBeNull();
      expect(await shard.answer(id, seq + 1)).toBe("settled");
      expect(await shard.contents()).toEqual(before);
    });
  });

  describe("a decision", () => {
    test("that opens items puts them into the inbox by the places of their lines", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      const events = [{ type: "task.quarantined" }, { type: "item.opened", data: { kind: "quarantine" } }];
      await shard.commit(id, { token: "", revision, events, items: [[2, "quarantine"]] });
      expect((await itemsOf(shard, id)).listed).toEqual([`${id}.${seen + 2}`]);
    });

    test("that ends the workflow closes its items, and those of no other", async () => {
      const shard = newShard();
      const { id, revision, seq } = await parked(shard);
      const other = await parked(shard);
      await shard.commit(id, { token: "", revision, seen: seq, status: "cancelled", ended: true });
      expect(await itemsOf(shard, other.id)).toMatchObject({
        listed: [`${other.id}.${other.seq}`],
        counted: ["outcome-unknown", "1"],
      });
      expect(await shard.connection.hget(shard.key(id, "index"), "items")).toBe("");
    });

    test("by which an item expires takes it from the inbox, and no other", async () => {
      const shard = newShard();
      const { id, revision, seq } = await parked(shard);
      const opens = { events: [{ type: "item.opened", data: { kind: "quarantine" } }] };
      await shard.commit(id, { token: "", revision, ...opens, items: [[1, "quarantine"]] });
      const events = [{ type: "item.expired" }];
      const [answer] = await shard.commit(id, { token: "", revision: revision + 1, events, expired: [seq] });
      expect(answer).toBe("ok");
      expect(await itemsOf(shard, id)).toEqual({
        listed: [`${id}.${seq + 1}`],
        counted: ["quarantine", "1"],
        index: `${seq + 1}:quarantine `,
      });
      expect(await shard.answer(id, seq)).toBe("settled");
    });

    test("by which an item expires that was settled meanwhile is refused whole", async () => {
      const shard = newShard();
      const { id, revision, seq } = await parked(shard);
      await shard.answer(id, seq);
      const before = await shard.contents();
      const commit = { token: "", revision, events: [{ type: "item.expired" }], expired: [seq] };
      expect(await shard.commit(id, commit)).toEqual(["settled", String(seq)]);
      expect(await shard.contents()).toEqual(before);
    });

    test("by which a workflow waits makes room for another, until it goes on", async () => {
      const shard = newShard();
      const { id, revision } = await parked(shard);
      expect(await shard.active()).toBe(1);
      await shard.commit(id, { token: "", revision, status: "waiting" });
      expect(await shard.active()).toBe(0);
      expect(await shard.list({ status: "waiting" })).toEqual([id]);
      await shard.commit(id, { token: "", revision: revision + 1, status: "running" });
      expect(await shard.active()).toBe(1);
    });
  });

  describe("the inbox", () => {
    test("is read newest first, page by page, also within one millisecond", async () => {
      const shard = newShard();
      const ids: string[] = [];
      for (let count = 0; count < 5; count++) {
        const { id, seq } = await parked(shard);
        ids.push(`${id}.${seq}`);
      }
      for (const [place, id] of ids.entries()) {
        await shard.connection.zadd(`${shard.tag}:items:acme`, place < 2 ? 1000 : 2000, id);
      }
      const [early, late] = [ids.slice(0, 2).toSorted().toReversed(), ids.slice(2).toSorted().toReversed()];
      expect(await shard.items()).toEqual([...late, ...early]);
      expect(await shard.items({ most: 2 })).toEqual(late.slice(0, 2));
      expect(await shard.items({ newest: "2000", before: late[1] ?? "" })).toEqual([...late.slice(2), ...early]);
      expect(await shard.items({ newest: "2000", before: late[1] ?? "", most: 1 })).toEqual(late.slice(2, 3));
    });

    test("is one of a tenant, and may be asked for one kind or one workflow", async () => {
      const shard = newShard();
      const [one, two] = [await parked(shard), await parked(shard)];
      expect(await shard.items({ owner: "other" })).toEqual([]);
      expect(await shard.items({ kind: "quarantine" })).toEqual([]);
      expect(await shard.items({ kind: "outcome-unknown" })).toHaveLength(2);
      expect(await shard.items({ workflow: one.id })).toEqual([`${one.id}.${one.seq}`]);
      expect(await shard.items({ workflow: two.id, most: 1 })).toEqual([`${two.id}.${two.seq}`]);
    });
  });
}
