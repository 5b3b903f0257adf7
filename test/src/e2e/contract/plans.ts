import { describe, expect, test } from "vitest";
import type { Fleet } from "../fleet.ts";
import { inTurn, mostAtOnce, outputOf, planOf, probe, probes, run, seqOf, startOrder, together } from "../plans.ts";

/** How plans are walked: order, templates, limits, results. */
export function plansAreKept(fleet: () => Fleet): void {
  describe("order", () => {
    test("a sequential phase runs one task after the other, a parallel one all at once", async () => {
      const one = await run(fleet(), planOf(inTurn("p", probes(4, "t", { sleepMs: 5 }))));
      expect([one.view.status, mostAtOnce(one), startOrder(one)]).toEqual(["completed", 1, ["t0", "t1", "t2", "t3"]]);
      const all = await run(fleet(), planOf(together("p", probes(4, "t", { sleepMs: 700 }))));
      expect([all.view.status, mostAtOnce(all)]).toEqual(["completed", 4]);
    });

    test("a phase starts after the whole phase before", async () => {
      const done = await run(
        fleet(),
        planOf(together("p", probes(3, "a", { sleepMs: 50 })), together("q", [probe("b")])),
      );
      for (const before of ["a0", "a1", "a2"]) {
        expect(seqOf(done, "task.started", "b")).toBeGreaterThan(seqOf(done, "task.completed", before));
      }
    });

    test("a task with dependsOn waits for exactly those, of any phase", async () => {
      const done = await run(
        fleet(),
        planOf(
          together("p", [probe("quick"), probe("slow", { sleepMs: 2500 })]),
          inTurn("q", [
            probe("late"),
            probe("early", {}, { dependsOn: ["quick"] }),
            probe("free", {}, { dependsOn: [] }),
          ]),
          together("r", [probe("last", {}, { dependsOn: ["early", "slow"] })]),
        ),
      );
      expect(done.view.status).toBe("completed");
      for (const ahead of ["early", "free"]) {
        expect(seqOf(done, "task.completed", ahead)).toBeLessThan(seqOf(done, "task.completed", "slow"));
      }
      expect(seqOf(done, "task.started", "late")).toBeGreaterThan(seqOf(done, "task.completed", "slow"));
      expect(seqOf(done, "task.started", "last")).toBeGreaterThan(seqOf(done, "task.completed", "slow"));
    });

    test("what is more urgent goes first where workers are few", async () => {
      const rest = (priority: "critical" | "high" | "normal" | "low") => ({ priority });
      const done = await run(
        fleet(),
        planOf(
          together("p", [
            ...probes(10, "now", { sleepMs: 1000 }, rest("critical")),
            ...probes(10, "low", {}, rest("low")),
            ...probes(10, "normal", { sleepMs: 300 }),
            ...probes(10, "high", { sleepMs: 300 }, rest("high")),
          ]),
        ),
      );
      const order = startOrder(done).map((id) => id.replace(/\d+$/, ""));
      expect(order).toEqual(["now", "high", "normal", "low"].flatMap((kind) => Array<string>(10).fill(kind)));
    });
  });

  describe("concurrency", () => {
    test("of the workflow and of a phase is never passed, and is used", async () => {
      const bounded = (prefix: string) => together(prefix, probes(8, prefix, { sleepMs: 400 }), { concurrency: 2 });
      const free = { ...together("free", probes(8, "free", { sleepMs: 400 })) };
      const open = { ...free, tasks: free.tasks.map((task) => ({ ...task, dependsOn: [] })) };
      const done = await run(fleet(), { ...planOf(bounded("few"), open), concurrency: 5 });
      expect(done.view.status).toBe("completed");
      expect(mostAtOnce(done, (id) => id.startsWith("few"))).toBe(2);
      expect(mostAtOnce(done)).toBe(5);
    });

    test("a task that it holds back says so", async () => {
      const { client } = fleet();
      const { id } = await client.submit({
        ...planOf(together("p", probes(2, "t", { sleepMs: 60_000 }))),
        concurrency: 1,
      });
      for await (const { type } of client.events(id, { follow: true })) if (type === "task.started") break;
      const view = await client.get(id);
      expect(view.tasks.find(({ status }) => status === "pending")).toMatchObject({
        waitingFor: { reason: "concurrency" },
      });
      await client.cancel(id);
      await client.wait(id);
    });
  });

  describe("templates", () => {
    const source = {
      n: 7,
      flag: false,
      none: null,
      list: [{ name: "first" }, "second"],
      nested: { "a-b": { c: "d" } },
    };

    test("a string that is one template takes the value with its type, at any depth", async () => {
      const done = await run(fleet(), {
        ...planOf(
          together("p", [probe("a", { output: source })]),
          together("q", [
            probe("b", {
              output: {
                number: "{{tasks.a.output.output.n}}",
                boolean: "{{tasks.a.output.output.flag}}",
                nothing: "{{tasks.a.output.output.none}}",
                object: "{{tasks.a.output.output.nested}}",
                element: ["{{tasks.a.output.output.list.0.name}}", "{{tasks.a.output.output.list.1}}"],
                deep: [{ here: "{{tasks.a.output.output.nested.a-b.c}}" }],
                whole: "{{tasks.a.output.output}}",
                input: "{{input.question}}",
              },
            }),
          ]),
        ),
        input: { question: ["why?"] },
      });
      expect(outputOf(done)).toEqual({
        number: 7,
        boolean: false,
        nothing: null,
        object: source.nested,
        element: ["first", "second"],
        deep: [{ here: "d" }],
        whole: source,
        input: ["why?"],
      });
    });

    test("in a longer string values become text, objects JSON", async () => {
      const text =
        "n={{tasks.a.output.output.n}} o={{tasks.a.output.output.nested}} s={{tasks.a.output.output.list.1}}.";
      const done = await run(fleet(), {
        ...planOf(inTurn("p", [probe("a", { output: source }), probe("b", { output: `${text} {{input}}` })])),
        input: "{{tasks.a.output}}",
      });
      // What a value holds is text and not a template again.
      expect(outputOf(done, "b")).toBe('n=7 o={"a-b":{"c":"d"}} s=second. {{tasks.a.output}}');
    });

    test("a number decides what the next task does", async () => {
      const done = await run(
        fleet(),
        planOf(inTurn("p", [probe("a", { output: 3 }), probe("b", { outputBytes: "{{tasks.a.output.output}}" })])),
      );
      expect(outputOf(done, "b")).toBe("xxx");
    });

    test("any path into a task that failed under continue is null", async () => {
      const done = await run(
        fleet(),
        planOf(
          together("p", [probe("a", { fail: [{ attempt: 1, class: "data" }] }, { onFailure: "continue" })]),
          together("q", [probe("b", { output: ["{{tasks.a.output.x.0.y}}", "it is {{tasks.a.output.x}}"] })]),
        ),
      );
      expect([done.view.status, outputOf(done)]).toEqual(["completed", [null, "it is null"]]);
    });

    test("a path that is not there fails the task as data, at once", async () => {
      const done = await run(
        fleet(),
        planOf(inTurn("p", [probe("a", { output: source }), probe("b", { output: "{{tasks.a.output.output.n.x}}" })])),
      );
      expect(done.view).toMatchObject({
        status: "failed",
        error: { class: "data", code: "missing-path", taskId: "b" },
      });
      expect(done.view.tasks[1]).toMatchObject({ status: "failed", attempt: 1 });
    });
  });

  describe("result", () => {
    test("of one last task it is its output, of several their outputs by id", async () => {
      const one = await run(
        fleet(),
        planOf(together("p", probes(2, "a")), together("q", [probe("b", { output: "end" })])),
      );
      expect(one.view).toMatchObject({ result: { output: "end", attempt: 1, claim: 1 }, phase: null });
      const several = await run(fleet(), planOf(together("p", [probe("a", { output: 1 }), probe("b", { output: 2 })])));
      expect(several.view.result).toMatchObject({ a: { output: 1 }, b: { output: 2 } });
      expect(Object.keys(Object(several.view.result)).toSorted()).toEqual(["a", "b"]);
    });

    test("an agent alone is one phase main with one task main", async () => {
      const done = await run(fleet(), { agent: "probe", input: { output: [null] } });
      expect(outputOf(done)).toEqual([null]);
      expect(done.view).toMatchObject({ tasks: [{ id: "main", phase: "main", agent: "probe" }] });
      expect(done.view.plan).toMatchObject({ phases: [{ name: "main", tasks: [{ id: "main" }] }] });
    });

    test("phase is the first with an open task", async () => {
      const { client } = fleet();
      const { id } = await client.submit(
        planOf(together("first", [probe("a")]), together("second", [probe("b", { sleepMs: 2000 })])),
      );
      for await (const { type, taskId } of client.events(id, { follow: true })) {
        if (type === "task.started" && taskId === "b") break;
      }
      expect(await client.get(id)).toMatchObject({ status: "running", phase: "second" });
      expect((await client.wait(id)).phase).toBeNull();
    });
  });
}
