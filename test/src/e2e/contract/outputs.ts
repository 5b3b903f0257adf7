import { TaskView } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import type { Fleet } from "../fleet.ts";
import { inTurn, outputOf, planOf, probe, run, together } from "../plans.ts";
import { Wire } from "../wire.ts";

const inlineBytes = 4096;

/** Where outputs are given, up to which size. */
export function outputsAreGiven(fleet: () => Fleet): void {
  describe("outputs", () => {
    test("are inline up to 4 KB, and whole at the task beyond", async () => {
      const empty = await run(fleet(), planOf(together("p", [probe("a", { outputBytes: 0 })])));
      const around = empty.view.tasks[0]?.outputBytes ?? 0;
      const tasks = [
        probe("fits", { outputBytes: inlineBytes - around }),
        probe("not", { outputBytes: inlineBytes - around + 1 }),
      ];
      const { view } = await run(fleet(), planOf(together("p", tasks), together("q", [probe("end")])));
      const [fits, not] = view.tasks;
      expect([fits?.outputBytes, not?.outputBytes]).toEqual([inlineBytes, inlineBytes + 1]);
      expect(fits?.output).toMatchObject({ output: "x".repeat(inlineBytes - around) });
      expect(not?.output).toBeUndefined();
      expect(await fleet().client.task(view.id, "not")).toMatchObject({
        output: { output: "x".repeat(inlineBytes - around + 1) },
      });
    });

    test("of 5 MB come whole from the task, and templates reach into them", async () => {
      const done = await run(
        fleet(),
        planOf(
          inTurn("p", [probe("a", { outputBytes: 5_000_000 }), probe("b", { output: "{{tasks.a.output.attempt}}" })]),
        ),
      );
      expect(done.view).toMatchObject({ status: "completed" });
      const large = done.view.tasks[0];
      expect([large?.output, Math.floor((large?.outputBytes ?? 0) / 1000)]).toEqual([undefined, 5000]);
      const answer = await new Wire(fleet().ready).call(`GET /v1/workflows/${done.view.id}/tasks/a`);
      const task = TaskView.parse(answer.json);
      expect(task).toMatchObject({ status: "completed", output: { output: "x".repeat(5_000_000) } });
    });

    test("above 8 MiB fail the task as data", async () => {
      const retry = { attempts: 3, backoffMs: 1 };
      const { view } = await run(
        fleet(),
        planOf(together("p", [probe("a", { outputBytes: 8 * 1024 * 1024 }, { retry })])),
      );
      const error = { class: "data", code: "output-too-large" };
      expect(view).toMatchObject({ status: "failed", error, tasks: [{ attempt: 1, error }] });
    });

    test("are told bytes by bytes: text that is not ASCII comes back as it went in", async () => {
      const words = 'Grüße, 船隊, 🚢, \u2028 and "quotes" \\ \u0000';
      const done = await run(fleet(), {
        ...planOf(inTurn("p", [probe("a", { output: words }), probe("b", { output: "{{tasks.a.output.output}}" })])),
      });
      expect(outputOf(done, "b")).toBe(words);
      expect(outputOf(done, "a")).toBe(words);
    });

    test("of a task that is not finished are 409, of one that failed its error", async () => {
      const wire = new Wire(fleet().ready);
      const { id } = await fleet().client.submit(
        planOf(together("p", [probe("a", { sleepMs: 2000, fail: [{ attempt: 1, class: "data" }] })])),
      );
      for await (const { type } of fleet().client.events(id, { follow: true })) if (type === "task.started") break;
      const open = await wire.call(`GET /v1/workflows/${id}/tasks/a`);
      expect([open.status, open.json]).toMatchObject([409, { code: "not-finished" }]);
      await fleet().client.wait(id);
      const failed = await wire.call(`GET /v1/workflows/${id}/tasks/a`);
      expect([failed.status, failed.json]).toMatchObject([200, { status: "failed", error: { class: "data" } }]);
    });
  });
}
