import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** Rules of `share`. */
export function sharingRules(newShard: () => Shard): void {
  async function claimed(): Promise<{ shard: Shard; id: string; tip: number }> {
    const shard = newShard();
    const { id } = await shard.dispatched({ a: specText(), b: specText() });
    await shard.claim(id, "a");
    await shard.claim(id, "b");
    const { tip = 0 } = (await shard.load(id)) ?? {};
    return { shard, id, tip };
  }

  describe("what agents share", () => {
    test("is nothing at first, and then what was set, whoever asks", async () => {
      const { shard, id, tip } = await claimed();
      expect(await shard.share(id, "a", writer, "1", "n")).toEqual({ isSet: false, value: null, version: 0 });
      const set = { isSet: true, value: { deep: ["ü", 1.5] }, version: tip + 1 };
      expect(await shard.share(id, "a", writer, "2", "n", 0, { deep: ["ü", 1.5] })).toEqual(set);
      expect(await shard.share(id, "b", writer, "1", "n")).toEqual({ ...set, isSet: false });
      expect(await shard.share(id, "b", writer, "2", "other")).toMatchObject({ version: 0 });
      const { lines = [] } = (await shard.load(id)) ?? {};
      expect(lines.at(-1)).toMatchObject({ seq: tip + 1, text: '{"type":"state.changed"}' });
    });

    test("is changed by one of those who saw the same, and the others are told what stands", async () => {
      const { shard, id, tip } = await claimed();
      const answers = await Promise.all(["a", "b"].map((task) => shard.share(id, task, writer, "1", "n", 0, task)));
      expect(answers).toEqual([
        { isSet: true, value: "a", version: tip + 1 },
        { isSet: false, value: "a", version: tip + 1 },
      ]);
      expect(await shard.share(id, "b", writer, "2", "n", tip + 1, "b")).toMatchObject({ isSet: true, value: "b" });
    });

    test("changes once however often it is said, and a replay sees what was seen", async () => {
      const { shard, id, tip } = await claimed();
      const first = { isSet: true, value: 1, version: tip + 1 };
      for (const _ of [1, 2]) expect(await shard.share(id, "a", writer, "1", "n", 0, 1)).toEqual(first);
      await shard.share(id, "b", writer, "1", "n", tip + 1, 2);
      expect(await shard.share(id, "a", writer, "1", "n", 0, 1)).toEqual(first);
      expect(((await shard.load(id)) ?? { tip: 0 }).tip).toBe(tip + 2);
      expect(await shard.journal(id, "a")).toEqual([
        "1",
        `{"key":"1","inputHash":"h","result":{"value":${JSON.stringify(first)}}}`,
      ]);
    });

    test("has a bound in all, names included, and what makes it smaller always fits", async () => {
      const { shard, id, tip } = await claimed();
      expect(await shard.share(id, "a", writer, "1", "n", 0, "x".repeat(97), 100)).toMatchObject({ isSet: true });
      expect(await shard.share(id, "a", writer, "2", "m", 0, 1, 101)).toBe("full");
      expect(await shard.share(id, "a", writer, "3", "n", tip + 1, "x".repeat(98), 100)).toBe("full");
      expect(await shard.journal(id, "a")).toHaveLength(2);
      expect(await shard.share(id, "a", writer, "4", "n", tip + 1, "x".repeat(90), 50)).toMatchObject({ isSet: true });
      expect(await shard.share(id, "a", writer, "5", "m", 0, 1, 100)).toMatchObject({ isSet: true });
    });
  });
}
