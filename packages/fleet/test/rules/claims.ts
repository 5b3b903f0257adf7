import { describe, expect, test } from "vitest";
import { type Shard, specText } from "../shard.ts";

const writer = { epoch: 1, holder: "holder" };

/** The rules of `claim`, `step` and `record` for a holder that is in its right; see fencing.ts for the others. */
export function claimRules(newShard: () => Shard): void {
  describe("claim", () => {
    test("gives epoch, number, tenant and spec, a lease, and one line in the log", async () => {
      const shard = newShard();
      const { id, seen } = await shard.dispatched({ a: specText({ spec: { agent: "probe", input: "a b" } }) });
      const before = await shard.now();
      const answer = await shard.claim(id, "a", { worker: "w-1" });
      expect(answer).toEqual(["claimed", 1, 1, "acme", '{"agent":"probe","input":"a b"}', null]);
      expect(await shard.lease(id, "a")).toBeGreaterThanOrEqual(before + 6000);
      const [line] = (await shard.load(id, seen + 1))?.lines ?? [];
      expect(JSON.parse(line?.text ?? "")).toEqual({
        type: "task.started",
        taskId: "a",
        attempt: 1,
        epoch: 1,
        data: { worker: "w-1", claim: 1 },
      });
    });

    test("asks for no look", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const due = await shard.due(id);
      await shard.claim(id, "a");
      expect(await shard.due(id)).toBe(due);
    });

    test("repeated by its holder gets the first answer and writes nothing, in one call too", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const [first, second] = await Promise.all([shard.claim(id, "a"), shard.claim(id, "a")]);
      expect(second).toEqual(first);
      const before = await shard.contents();
      expect(await shard.claim(id, "a")).toEqual(first);
      expect(await shard.contents()).toEqual(before);
    });

    test("refuses everybody else, and says why", async () => {
      const shard = newShard();
      const other = { holder: "other" };
      const { id, revision } = await shard.dispatched({ a: specText(), b: specText(), c: specText() });
      await shard.claim(id, "a");
      expect(await shard.claim(id, "a", other)).toEqual(["held"]);
      await shard.record(id, "a", writer);
      expect(await shard.claim(id, "a", other)).toEqual(["settled"]);
      expect(await shard.claim(id, "a")).toEqual(["settled"]);
      await shard.claim(id, "b");
      await shard.record(id, "b", writer, { kind: "released" });
      expect(await shard.claim(id, "b", other)).toEqual(["superseded"]);
      await shard.commit(id, { revision, claims: [["reopen", "b", 1, 1, 2]] });
      expect(await shard.claim(id, "b", other)).toEqual(["superseded"]);
      expect(await shard.claim(id, "no-such-task", other)).toEqual(["unknown"]);
      expect(await shard.claim(shard.newId(), "a", other)).toEqual(["unknown"]);
      await shard.cancel(id);
      expect(await shard.claim(id, "c", other)).toEqual(["cancelled"]);
      expect(await shard.claim(await shard.ended(), "a", other)).toEqual(["ended"]);
    });

    test("refuses a job that is ahead of the log, and one of a task that was never scheduled", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const before = await shard.contents();
      for (const ahead of [{ attempt: 2 }, { dispatch: 2 }, { attempt: 2, dispatch: 3 }]) {
        expect(await shard.claim(id, "a", ahead)).toEqual(["unknown"]);
      }
      expect(await shard.contents()).toEqual(before);
      await shard.connection.hdel(shard.key(id, "index"), "claim:a");
      expect(await shard.claim(id, "a")).toEqual(["unknown"]);
    });

    test("a hundred workers that find one job leave one holder", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, n) => shard.claim(id, "a", { holder: `h${n}` })),
      );
      expect(answers.filter(([kind]) => kind === "claimed")).toHaveLength(1);
      expect(answers.filter(([kind]) => kind === "held")).toHaveLength(99);
    });

    test("answers the outputs that the spec needs: values, blobs, and nothing for a task that gave none", async () => {
      const shard = newShard();
      const needs = ["a", "b", "c"];
      const specs = { a: specText(), b: specText(), c: specText(), d: specText({ needs }) };
      const { id } = await shard.dispatched(specs);
      for (const task of needs) await shard.claim(id, task);
      await shard.record(id, "a", writer, { output: '={"x":1}' });
      await shard.record(id, "b", writer, { output: "@0a1b" });
      await shard.record(id, "c", writer, { kind: "failed" });
      expect((await shard.claim(id, "d")).slice(6)).toEqual(['={"x":1}', "@0a1b", null]);
    });

    test("leaves out outputs beyond 64 KB in all, to be read one by one", async () => {
      const shard = newShard();
      const big = `=${JSON.stringify("x".repeat(30_000))}`;
      const needs = ["a", "b", "c", "e"];
      const specs = Object.fromEntries([...needs.map((task) => [task, specText()]), ["d", specText({ needs })]]);
      const { id } = await shard.dispatched(specs);
      for (const task of needs) {
        await shard.claim(id, task);
        await shard.record(id, task, writer, { output: big });
      }
      const lengths = (await shard.claim(id, "d")).slice(6).map((output) => String(output).length);
      expect(lengths).toEqual([big.length, big.length, 1, 1]);
      expect((await shard.output(id, "c")) === big).toBe(true);
    });

    test("a later claim finds the steps of the earlier ones", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      await shard.keepStep(id, "a", writer, "one", "1");
      await shard.record(id, "a", writer, { kind: "released" });
      await shard.commit(id, { revision, claims: [["reopen", "a", 1, 1, 2]] });
      await shard.claim(id, "a", { dispatch: 2, holder: "next" });
      expect(await shard.journal(id, "a")).toEqual(["one", "1"]);
    });

    test("the lease of a task with a timeout ends with it", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched({ a: specText({ timeoutMs: 500 }), b: specText({ timeoutMs: 60_000 }) });
      await shard.claim(id, "a");
      await shard.claim(id, "b");
      const now = await shard.now();
      expect(await shard.lease(id, "a")).toBeLessThanOrEqual(now + 500);
      expect(await shard.lease(id, "b")).toBeLessThanOrEqual(now + 6000);
    });
  });

  describe("step", () => {
    test("keeps the first result under a key, for ever", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      expect(await shard.keepStep(id, "a", writer, "one", "first")).toBe("kept");
      expect(await shard.keepStep(id, "a", writer, "one", "second")).toBe("kept");
      expect(await shard.journal(id, "a")).toEqual(["one", "first"]);
    });

    test("progress is a line in the log and wakes nobody", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      const due = await shard.due(id);
      expect(await shard.progress(id, "a", writer)).toBe("kept");
      expect((await shard.types(id)).at(-1)).toBe("task.progressed");
      expect(await shard.due(id)).toBe(due);
    });
  });

  describe("record", () => {
    test("is one step: the fact, the output, the end of the lease and a look at once", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      expect(await shard.record(id, "a", writer, { output: "=5" })).toBe("recorded");
      expect((await shard.types(id)).at(-1)).toBe("task.completed");
      expect(await shard.output(id, "a")).toBe("=5");
      expect(await shard.lease(id, "a")).toBeUndefined();
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
    });

    test("said again by the same holder it is recorded, and nothing is written twice", async () => {
      const shard = newShard();
      const { id } = await shard.dispatched();
      await shard.claim(id, "a");
      const say = () => shard.record(id, "a", writer, { output: "=5", mayBeQuiet: true });
      expect(await Promise.all([say(), say()])).toEqual(["recorded", "recorded"]);
      const before = await shard.contents();
      expect(await say()).toBe("recorded");
      expect(await shard.record(id, "a", writer, { kind: "failed" })).toBe("recorded");
      expect(await shard.contents()).toEqual(before);
    });

    test("a task that was handed back is over for its holder and can be dispatched again", async () => {
      const shard = newShard();
      const { id, revision } = await shard.dispatched();
      await shard.claim(id, "a");
      expect(await shard.record(id, "a", writer, { kind: "released" })).toBe("recorded");
      expect((await shard.types(id)).at(-1)).toBe("task.released");
      expect(await shard.due(id)).toBeLessThanOrEqual(await shard.now());
      await shard.commit(id, { revision, claims: [["reopen", "a", 1, 1, 2]] });
      expect((await shard.claim(id, "a", { dispatch: 2, holder: "next" })).slice(0, 3)).toEqual(["claimed", 2, 2]);
    });

    test("a thousand tasks that finish together are one member of due", async () => {
      const shard = newShard();
      const tasks = Array.from({ length: 1000 }, (_, n) => `t${n}`);
      const { id } = await shard.dispatched(Object.fromEntries(tasks.map((task) => [task, specText()])));
      await Promise.all(tasks.map((task) => shard.claim(id, task)));
      await Promise.all(tasks.map((task) => shard.record(id, task, writer)));
      expect(await shard.connection.zcount(`${shard.tag}:due`, "-inf", await shard.now())).toBe(1);
      const seqs = (await shard.load(id, 1, 5000))?.lines.map(({ seq }) => seq);
      expect(seqs).toEqual(Array.from({ length: 2004 }, (_, index) => index + 1));
    });
  });
}
