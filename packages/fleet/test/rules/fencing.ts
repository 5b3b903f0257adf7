import { describe, expect, test } from "vitest";
import { type Change, type Shard, specText, type Writer } from "../shard.ts";

interface Held {
  id: string;
  revision: number;
}

/** What takes a claim away from its holder, and what the holder is told from then on. */
const losses: Record<string, { reason: string; lose(shard: Shard, held: Held): Promise<unknown> }> = {
  "a later claim": {
    reason: "superseded",
    lose: async (shard, { id, revision }) => {
      await shard.commit(id, {
        revision,
        claims: [
          ["revoke", "a", 1, 0, 0],
          ["reopen", "a", 1, 1, 2],
        ],
      });
      expect(await shard.claim(id, "a", { dispatch: 2, holder: "next" })).toMatchObject({ 0: "claimed" });
    },
  },
  "a later claim that has recorded": {
    reason: "superseded",
    lose: async (shard, held) => {
      await losses["a later claim"]?.lose(shard, held);
      await shard.record(held.id, "a", { epoch: 2, holder: "next" }, { output: "=2" });
    },
  },
  "a revoked claim": {
    reason: "superseded",
    lose: (shard, { id, revision }) => shard.commit(id, { revision, claims: [["revoke", "a", 1, 0, 0]] }),
  },
  "a timeout, with another attempt dispatched": {
    reason: "superseded",
    lose: async (shard, { id, revision }) => {
      const events = [{ type: "task.timed_out" }, { type: "task.retrying" }];
      await shard.commit(id, { revision, events, claims: [["revoke", "a", 1, 0, 0]] });
      await shard.commit(id, { revision: revision + 1, claims: [["reopen", "a", 1, 2, 1]] });
    },
  },
  "parking it": { reason: "superseded", lose: (shard, { id }) => shard.park(id, "a", { epoch: 1, holder: "holder" }) },
  "handing it back": {
    reason: "superseded",
    lose: (shard, { id }) => shard.record(id, "a", { epoch: 1, holder: "holder" }, { kind: "released" }),
  },
  "a cancel": { reason: "cancelled", lose: (shard, { id }) => shard.cancel(id) },
  "the end of the workflow": {
    reason: "ended",
    lose: (shard, { id, revision }) => shard.commit(id, { revision, seen: 5, status: "failed", ended: true }),
  },
  "a retry of the workflow that failed over it": {
    reason: "superseded",
    lose: async (shard, held) => {
      await losses["the end of the workflow"]?.lose(shard, held);
      expect(await shard.retry(held.id)).toEqual(["retried", "running"]);
    },
  },
  "a later claim after a retry": {
    reason: "superseded",
    lose: async (shard, held) => {
      const { id, revision } = held;
      await losses["a retry of the workflow that failed over it"]?.lose(shard, held);
      await shard.setDue(id, 1);
      await shard.take({ token: "again" });
      const claims: Change[] = [["reopen", "a", 1, 2, 1]];
      expect(await shard.commit(id, { token: "again", revision: revision + 1, claims })).toMatchObject({ 0: "ok" });
      await shard.settle(id, { token: "again", seen: 6 });
      expect(await shard.claim(id, "a", { attempt: 2, holder: "next" })).toMatchObject({ 0: "claimed", 1: 2 });
    },
  },
  "a workflow that is forgotten": {
    reason: "unknown",
    lose: async (shard, held) => {
      await losses["the end of the workflow"]?.lose(shard, held);
      await shard.setDue(held.id, 1);
      await shard.take();
      expect(await shard.forget(held.id)).toBe(1);
    },
  },
};

/** Every kind of write that a worker makes under its claim. */
const writes: Record<string, (shard: Shard, id: string, writer: Writer) => Promise<unknown>> = {
  renew: (shard, id, writer) => shard.renew(id, "a", writer, 3_600_000),
  "step result": (shard, id, writer) => shard.keepStep(id, "a", writer, "late", "1"),
  "step intent": (shard, id, writer) => shard.write(id, "a", writer, "intent", "late", "1"),
  "step outcome": (shard, id, writer) => shard.write(id, "a", writer, "outcome", "late", "1"),
  "step withdrawal": (shard, id, writer) => shard.write(id, "a", writer, "withdrawal", "kept", ""),
  "step paid": (shard, id, writer) => shard.write(id, "a", writer, "paid", "late", "1 1 1 - 1"),
  "step release": (shard, id, writer) => shard.write(id, "a", writer, "release", "kept", ""),
  share: async (shard, id, writer) => {
    const answer = await shard.share(id, "a", writer, "late", "n", 0, 1);
    return typeof answer === "object" ? "kept" : answer;
  },
  hold: (shard, id, writer) => shard.hold(id, "a", writer, "late", [1, 1], ["", ""]),
  "step progress": (shard, id, writer) => shard.progress(id, "a", writer),
  "record completed": (shard, id, writer) => shard.record(id, "a", writer, { output: "=late" }),
  "record completed, quietly": (shard, id, writer) =>
    shard.record(id, "a", writer, { output: "=late", mayBeQuiet: true }),
  "record failed": (shard, id, writer) => shard.record(id, "a", writer, { kind: "failed" }),
  "record released": (shard, id, writer) => shard.record(id, "a", writer, { kind: "released" }),
  "record died": (shard, id, writer) => shard.record(id, "a", writer, { kind: "died" }),
  "record parked": (shard, id, writer) => shard.park(id, "a", writer),
};

async function held(shard: Shard): Promise<Held> {
  const { id, revision } = await shard.dispatched({ a: specText() });
  await shard.claim(id, "a");
  await shard.keepStep(id, "a", { epoch: 1, holder: "holder" }, "kept", "1");
  await shard.hold(id, "a", { epoch: 1, holder: "holder" }, "kept", [1, 1], ["", ""]);
  return { id, revision };
}

/** Whoever has lost a claim can never write again, by any way; see architecture "Invariants" 6. */
export function fencingRules(newShard: () => Shard): void {
  describe.each(Object.entries(losses))("after %s", (_, { reason, lose }) => {
    test.each(Object.entries(writes))("%s of the old epoch is refused and changes nothing", async (__, write) => {
      const shard = newShard();
      const claim = await held(shard);
      await lose(shard, claim);
      const before = await shard.contents();
      expect(await write(shard, claim.id, { epoch: 1, holder: "holder" })).toBe(reason);
      expect(await shard.contents()).toEqual(before);
    });

    test("the job that led to the old claim claims nothing", async () => {
      const shard = newShard();
      const claim = await held(shard);
      await lose(shard, claim);
      const before = await shard.contents();
      for (const holder of ["holder", "other"]) {
        const [kind] = await shard.claim(claim.id, "a", { dispatch: 1, holder });
        expect(["superseded", "settled", "cancelled", "ended", "unknown"]).toContain(kind);
      }
      expect(await shard.contents()).toEqual(before);
    });
  });

  describe("a claim that is not the writer's", () => {
    const strangers: Record<string, Writer> = {
      "another holder with the right epoch": { epoch: 1, holder: "other" },
      "the right holder with an older epoch": { epoch: 0, holder: "holder" },
      "the right holder with an epoch to come": { epoch: 2, holder: "holder" },
      "the name of nobody": { epoch: 1, holder: "-" },
    };
    test.each(Object.entries(strangers))("%s writes nothing", async (_, stranger) => {
      const shard = newShard();
      const { id } = await held(shard);
      const before = await shard.contents();
      for (const write of Object.values(writes)) expect(await write(shard, id, stranger)).toBe("superseded");
      expect(await shard.contents()).toEqual(before);
    });

    test("nobody writes to a task that was never claimed", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const before = await shard.contents();
      for (const write of Object.values(writes))
        expect(await write(shard, id, { epoch: 0, holder: "-" })).toBe("superseded");
      expect(await shard.contents()).toEqual(before);
    });
  });

  test("while the claim stands, each of these writes is taken", async () => {
    for (const [name, write] of Object.entries(writes)) {
      const shard = newShard();
      const { id } = await held(shard);
      const before = await shard.contents();
      expect(["renewed", "kept", "held", "recorded"]).toContain(await write(shard, id, { epoch: 1, holder: "holder" }));
      expect(await shard.contents(), name).not.toEqual(before);
    }
  });

  test("a result that stands cannot be followed by steps or progress", async () => {
    const shard = newShard();
    const { id } = await held(shard);
    const writer = { epoch: 1, holder: "holder" };
    await shard.record(id, "a", writer);
    const before = await shard.contents();
    expect(await shard.keepStep(id, "a", writer, "late", "1")).toBe("superseded");
    expect(await shard.progress(id, "a", writer)).toBe("superseded");
    expect(await shard.contents()).toEqual(before);
  });
}
