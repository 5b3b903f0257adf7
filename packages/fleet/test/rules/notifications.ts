import { describe, expect, test } from "vitest";
import type { Shard } from "../shard.ts";

const callback = "https://example.com/";

/** The rules of `notify` and `notified`, and of `forget` where something is still to be told. */
export function notificationRules(newShard: () => Shard): void {
  const notify = async (shard: Shard, most = 64) => {
    const [, ...entries] = (await shard.call("notify", [most, 30_000])) as [
      number,
      ...[string, string, string, number, string][],
    ];
    return entries;
  };
  const notified = (shard: Shard, id: string, told: number, telling = "", againMs = 0) =>
    shard.item("notified", [id, told, telling, againMs]);
  const turnOf = (shard: Shard, id: string) => shard.connection.zscore(`${shard.tag}:notify`, id);

  describe("notify", () => {
    test("takes a workflow once its end is written, and holds it", async () => {
      const shard = newShard();
      const id = await shard.ended({ callback });
      await shard.ended();
      expect(await notify(shard)).toEqual([[id, "acme", callback, 0, ""]]);
      expect(await notify(shard)).toEqual([]);
    });

    test("is done when all that is written was told, and not when a line came meanwhile", async () => {
      const shard = newShard();
      const id = await shard.ended({ callback });
      const tip = (await shard.load(id))?.tip ?? 0;
      await notified(shard, id, tip - 1);
      expect(await notify(shard)).toHaveLength(1);
      await notified(shard, id, tip);
      expect(await turnOf(shard, id)).toBeNull();
    });

    test("keeps the turn of one that waits to be told again, whatever else is to be told", async () => {
      const shard = newShard();
      const id = await shard.ended({ callback }, "failed");
      const tip = (await shard.load(id))?.tip ?? 0;
      await notified(shard, id, tip - 1, `${tip} 3 1000`, 60_000);
      const turn = await turnOf(shard, id);
      await shard.retry(id);
      await shard.setDue(id, 1);
      await shard.take({ token: "again" });
      const { revision = 0 } = (await shard.load(id)) ?? {};
      const events = [{ type: "workflow.failed" }];
      const ended = { token: "again", revision, seen: tip + 1, status: "failed", ended: true, events };
      expect((await shard.commit(id, ended))[0]).toBe("ok");
      expect(await turnOf(shard, id)).toBe(turn);
      await shard.connection.zadd(`${shard.tag}:notify`, 1, id);
      expect(await notify(shard)).toEqual([[id, "acme", callback, tip - 1, `${tip} 3 1000`]]);
    });

    test("of two that told at once, the one that is behind changes nothing back", async () => {
      const shard = newShard();
      const id = await shard.ended({ callback });
      await notified(shard, id, 3);
      await notified(shard, id, 2, "", 1);
      expect(await shard.connection.hget(shard.key(id, "index"), "told")).toBe("3");
    });
  });

  test("nothing is forgotten before it was told", async () => {
    const shard = newShard();
    const id = await shard.ended({ callback });
    await shard.take();
    expect(await shard.forget(id)).toBe(0);
    await notified(shard, id, (await shard.load(id))?.tip ?? 0);
    await shard.setDue(id, 1);
    await shard.take();
    expect(await shard.forget(id)).toBe(1);
  });

  test("an end is archived anew with what was told of it", async () => {
    const shard = newShard();
    const id = await shard.ended({ callback });
    const tip = (await shard.load(id))?.tip ?? 0;
    const shipped = (changes: number) => shard.item("shipped", [id, tip, changes, 0, 1], [1000, 0]);
    const isAwaited = async () => (await shard.connection.zscore(`${shard.tag}:relay`, id)) !== null;
    await shipped(0);
    expect(await isAwaited()).toBe(false);
    await notified(shard, id, tip);
    expect(await isAwaited()).toBe(true);
    // What was read before that is not the whole.
    await shipped(0);
    expect(await isAwaited()).toBe(true);
    await shipped(1);
    expect(await isAwaited()).toBe(false);
  });
}
