import { describe, expect, test } from "vitest";
import type { Shard } from "../shard.ts";

/** Rules of the scripts around signals, and around what a decision gives to the journal of a task. */
export function signalRules(newShard: () => Shard): void {
  describe("a signal", () => {
    test("is a line of the log, and asks for a look, in one step", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.setDue(id, Number.MAX_SAFE_INTEGER);
      expect(await shard.signal(id)).toEqual(["sent", "running"]);
      expect((await shard.types(id)).at(-1)).toBe("signal.received");
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("under one key is one signal; with another body it is a conflict", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const answers = await Promise.all(Array.from({ length: 9 }, () => shard.signal(id, { key: "k" })));
      expect(answers.filter(([kind]) => kind === "sent")).toHaveLength(1);
      expect(answers.filter(([kind]) => kind === "repeated")).toHaveLength(8);
      const before = await shard.contents();
      expect(await shard.signal(id, { key: "k", body: "other" })).toEqual(["conflict"]);
      expect(await shard.contents()).toEqual(before);
    });

    test("is too late after the end and after a cancel; one that came in time is still answered as it was", async () => {
      const shard = newShard();
      const [ended, cancelled] = [await shard.dispatched(), await shard.dispatched()];
      await shard.signal(ended.id, { key: "k" });
      const { id, revision, seen } = ended;
      await shard.commit(id, { token: "", revision, seen: seen + 1, status: "completed", ended: true });
      await shard.cancel(cancelled.id);
      const before = await shard.contents();
      expect(await shard.signal(id)).toEqual(["ended", "completed"]);
      expect(await shard.signal(cancelled.id)).toEqual(["ended", "running"]);
      expect(await shard.signal(id, { key: "k" })).toEqual(["repeated", "completed"]);
      expect(await shard.contents()).toEqual(before);
    });

    test("reaches nobody else's workflow, and none that is not there", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const before = await shard.contents();
      expect(await shard.signal(id, { owner: "other" })).toBeNull();
      expect(await shard.signal(shard.newId())).toBeNull();
      expect(await shard.contents()).toEqual(before);
    });
  });

  describe("what a decision gives to a task", () => {
    test("is in its journal with the decision, and not without it", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      const gifts: [string, string, string][] = [["a", "#signal/go", "entry"]];
      expect(await shard.commit(id, { token: "stale", revision, gifts })).toEqual(["stale"]);
      expect(await shard.journal(id, "a")).toEqual([]);
      await shard.commit(id, { token: "", revision, events: [{ type: "task.scheduled" }], gifts });
      expect(await shard.journal(id, "a")).toEqual(["#signal/go", "entry"]);
      expect(await shard.connection.zrange(shard.key(id, "changes"), 0, -1)).toEqual(["journal:a"]);
    });
  });
}
