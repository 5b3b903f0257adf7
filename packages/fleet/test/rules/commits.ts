import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** The rules of `commit`: all of it or nothing, against the revision and the claims that it was decided on. */
export function commitRules(newShard: () => Shard): void {
  describe("commit", () => {
    test("appends its events, raises the revision and tells where they stand", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      const [kind, first, at] = await shard.commit(id, { revision, seen, events: [{ type: "x" }, { type: "y" }] });
      expect([kind, first]).toEqual(["ok", seen + 1]);
      const loaded = await shard.load(id, seen + 1);
      expect(loaded).toMatchObject({ revision: revision + 1, tip: seen + 2 });
      expect(loaded?.lines).toMatchObject([
        { seq: seen + 1, at, text: '{"type":"x"}' },
        { seq: seen + 2, text: '{"type":"y"}' },
      ]);
    });

    test("of two decisions on one revision the second is stale, in one call too", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      const decision = { revision, seen, events: [{ type: "x" }] };
      const answers = await Promise.all([shard.commit(id, decision), shard.commit(id, decision)]);
      expect(answers.map(([kind]) => kind)).toEqual(["ok", "stale"]);
      expect(await shard.commit(id, decision)).toEqual(["stale"]);
      expect((await shard.load(id))?.tip).toBe(seen + 1);
    });

    test("a look that was taken over commits nothing: whoever commits is the one whose settlement is missed", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      await shard.setDue(id, 1);
      await shard.take({ token: "slow" });
      await shard.setDue(id, 1);
      await shard.take({ token: "other" });
      const decision = { revision, seen, events: [{ type: "x" }] };
      expect(await shard.commit(id, { ...decision, token: "slow" })).toEqual(["stale"]);
      expect(await shard.commit(id, { ...decision, token: "other" })).toMatchObject([
        "ok",
        expect.any(Number),
        expect.any(Number),
      ]);
    });

    test("facts do not make a decision stale: its events come behind them", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.record(id, "a", writer);
      expect(await shard.commit(id, { revision, seen, events: [{ type: "x" }] })).toMatchObject([
        "ok",
        seen + 3,
        expect.any(Number),
      ]);
    });

    test("a decision that ends the workflow over a fact it has not seen is refused whole", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      await shard.claim(id, "a");
      const before = await shard.contents();
      const end = { revision, status: "failed", ended: true, events: [{ type: "workflow.failed" }] };
      expect(await shard.commit(id, { ...end, seen })).toEqual(["unseen"]);
      expect(await shard.contents()).toEqual(before);
      expect(await shard.commit(id, { ...end, seen: seen + 1 })).toMatchObject(["ok", seen + 2, expect.any(Number)]);
    });

    test("nothing is decided after the end, nor of an unknown workflow", async () => {
      const shard = newShard();
      const ended = await shard.ended();
      expect(await shard.commit(ended, { revision: 2, seen: 3 })).toEqual(["stale"]);
      expect(await shard.commit(shard.newId(), { revision: 0 })).toEqual(["stale"]);
    });

    test("specs and the input of the workflow are there for the claims that follow", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      const specs = { b: specText({ wantsInput: true, spec: { agent: "probe" } }) };
      await shard.commit(id, { revision, specs, input: '"hello"' });
      expect(await shard.claim(id, "b")).toEqual(["claimed", 1, 1, "acme", '{"agent":"probe"}', '"hello"']);
    });

    test("the end takes the workflow out of the active ones and moves it to the list of its status", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      expect(await shard.active()).toBe(1);
      await shard.commit(id, { revision, seen, status: "aborted", ended: true });
      expect(await shard.active()).toBe(0);
      expect(await shard.list({ status: "running" })).toEqual([]);
      expect(await shard.list({ status: "aborted" })).toEqual([id]);
      expect(await shard.load(id)).toMatchObject({ hasEnded: true, status: "aborted" });
    });

    test("the end settles its look: the workflow is looked at next when it is to be forgotten", async () => {
      const shard = newShard();
      const { id, revision, seen } = await shard.dispatched();
      await shard.setDue(id, 1);
      await shard.take();
      await shard.commit(id, { revision, seen, status: "failed", ended: true, keptMs: 60_000 });
      expect((await shard.due(id)) ?? 0).toBeGreaterThan((await shard.now()) + 50_000);
      expect(await shard.connection.hget(shard.key(id, "index"), "token")).toBe("");
      await shard.setDue(id, 1);
      expect((await shard.take()).entries).toMatchObject([{ id, revision: -1 }]);
    });
  });

  describe("claim changes of a commit", () => {
    test("a revoked claim is over: its lease is gone, its holder refused, its task not to be claimed", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      expect(await shard.commit(id, { revision, claims: [["revoke", "a", 1, 0, 0]] })).toMatchObject({ 0: "ok" });
      expect(await shard.lease(id, "a")).toBeUndefined();
      expect(await shard.record(id, "a", writer)).toBe("superseded");
      expect(await shard.claim(id, "a", { holder: "other" })).toEqual(["superseded"]);
    });

    test("revoke and reopen in one commit give the task to the next dispatch of the same attempt", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.commit(id, {
        revision,
        claims: [
          ["revoke", "a", 1, 0, 0],
          ["reopen", "a", 1, 1, 2],
        ],
      });
      expect(await shard.claim(id, "a", { dispatch: 1, holder: "old" })).toEqual(["superseded"]);
      expect((await shard.claim(id, "a", { dispatch: 2, holder: "next" })).slice(0, 3)).toEqual(["claimed", 2, 2]);
    });

    test("another attempt counts its claims from one; epochs go on", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.record(id, "a", writer, { kind: "failed" });
      await shard.commit(id, { revision, claims: [["reopen", "a", 1, 2, 1]] });
      expect((await shard.claim(id, "a", { attempt: 2, holder: "next" })).slice(0, 3)).toEqual(["claimed", 2, 1]);
    });

    test("a claim that moved on since the decision refuses all of it", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched({ a: specText(), b: specText() });
      await shard.claim(id, "a");
      await shard.claim(id, "b");
      await shard.record(id, "a", writer);
      const before = await shard.contents();
      const events = [{ type: "task.crashed" }];
      const late: Parameters<Shard["commit"]>[1]["claims"][] = [
        // It has recorded.
        [
          ["revoke", "b", 1, 0, 0],
          ["revoke", "a", 1, 0, 0],
        ],
        // It was claimed by somebody else since.
        [["revoke", "b", 0, 0, 0]],
        // It is held, so nobody may be given it.
        [["reopen", "b", 1, 1, 2]],
      ];
      for (const claims of late) {
        expect(await shard.commit(id, { revision, events, ...(claims ? { claims } : {}) })).toEqual([
          "claimed",
          claims?.at(-1)?.[1],
        ]);
      }
      expect(await shard.contents()).toEqual(before);
    });

    test("a job that was lost is dispatched again only while nobody has claimed the task", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      expect(await shard.commit(id, { revision, claims: [["reopen", "a", 0, 1, 2]] })).toEqual(["claimed", "a"]);
    });
  });
}
