import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** Rules of the scripts around what calls of models cost. */
export function spendingRules(newShard: () => Shard): void {
  async function claimed(): Promise<{ shard: Shard; id: string }> {
    const shard = newShard();
    const { id } = await shard.dispatched({ a: specText() });
    await shard.claim(id, "a");
    return { shard, id };
  }

  describe("a budget", () => {
    test("lets a call be made whose most fits beside what is spent and set apart", async () => {
      const { shard, id } = await claimed();
      expect(await shard.hold(id, "a", writer, "one", [60, 600], [100, 1000])).toBe("held");
      expect(await shard.hold(id, "a", writer, "two", [40, 400], [100, 1000])).toBe("held");
      expect(await shard.hold(id, "a", writer, "three", [1, 0], [100, 1000])).toBe("busy");
      expect(await shard.hold(id, "a", writer, "three", [0, 1], [100, 1000])).toBe("busy");
      await shard.write(id, "a", writer, "release", "two", "");
      expect(await shard.hold(id, "a", writer, "three", [40, 400], [100, 1000])).toBe("held");
    });

    test("is exhausted too when whoever set the rest apart has lost the claim, and will not say what it cost", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched({ a: specText(), b: specText() });
      await shard.claim(id, "a");
      await shard.claim(id, "b", { holder: "other" });
      const other = { epoch: 1, holder: "other" };
      expect(await shard.hold(id, "a", writer, "one", [60, 0], [100, ""])).toBe("held");
      expect(await shard.hold(id, "b", other, "two", [60, 0], [100, ""])).toBe("busy");
      await shard.commit(id, { revision, claims: [["revoke", "a", 1, 0, 0]] });
      expect(await shard.hold(id, "b", other, "two", [60, 0], [100, ""])).toBe("exhausted");
      expect(await shard.hold(id, "b", other, "two", [40, 0], [100, ""])).toBe("held");
    });

    test("is exhausted once too little is left whatever is under way", async () => {
      const { shard, id } = await claimed();
      await shard.hold(id, "a", writer, "one", [60, 60], [100, ""]);
      await shard.write(id, "a", writer, "paid", "call", '50 30 20 one {"key":"call"}');
      expect(await shard.hold(id, "a", writer, "two", [51, 0], [100, ""])).toBe("exhausted");
      expect(await shard.hold(id, "a", writer, "two", [50, 0], [100, 49])).toBe("exhausted");
      expect(await shard.hold(id, "a", writer, "two", [50, 0], [100, 50])).toBe("held");
    });

    test("holds once what is said twice, and never for one who lost the claim", async () => {
      const { shard, id } = await claimed();
      for (const _ of [1, 2]) expect(await shard.hold(id, "a", writer, "one", [60, 0], [100, ""])).toBe("held");
      expect(await shard.hold(id, "a", writer, "two", [40, 0], [100, ""])).toBe("held");
      expect(await shard.hold(id, "a", { epoch: 0, holder: "other" }, "three", [0, 0], ["", ""])).toBe("superseded");
      await shard.cancel(id);
      expect(await shard.hold(id, "a", writer, "three", [0, 0], ["", ""])).toBe("cancelled");
    });

    test("counts what a call cost once, with its result in the journal, however often it is said", async () => {
      const { shard, id } = await claimed();
      await shard.hold(id, "a", writer, "one", [60, 60], ["", ""]);
      for (const _ of [1, 2]) {
        expect(await shard.write(id, "a", writer, "paid", "call", '50 30 20 one {"key":"call"}')).toBe("kept");
      }
      expect(await shard.spent(id)).toEqual([50, 30, 20]);
      expect(await shard.journal(id, "a")).toEqual(["call", '{"key":"call"}']);
      // Nothing is set apart any more.
      expect(await shard.hold(id, "a", writer, "two", [50, 50], [100, 100])).toBe("held");
    });
  });
}
