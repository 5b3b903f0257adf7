import { describe, expect, test } from "vitest";
import type { Fleet } from "../fleet.ts";
import { planOf, probe, probes, run, together } from "../plans.ts";
import { Wire } from "../wire.ts";

/** Many at once. */
export function manyAtOnceHold(fleet: () => Fleet): void {
  describe("many at once", () => {
    test("1,000 parallel tasks in one workflow", async () => {
      const { view, events } = await run(
        fleet(),
        planOf(
          together("fan", probes(1000, "t")),
          together("end", [probe("end", { output: "{{tasks.t999.output.claim}}" })]),
        ),
      );
      expect(view).toMatchObject({ status: "completed", result: { output: 1 } });
      expect(view.tasks.filter(({ status }) => status === "completed")).toHaveLength(1001);
      expect(events.filter(({ type }) => type === "task.completed")).toHaveLength(1001);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    });

    test("50 workflows", async () => {
      const plan = (n: number) =>
        planOf(
          together("p", probes(3, "t", { output: n })),
          together("q", [probe("sum", { output: ["{{tasks.t0.output.output}}", "{{tasks.t2.output.output}}"] })]),
        );
      const runs = await Promise.all(Array.from({ length: 50 }, (_, n) => run(fleet(), plan(n))));
      runs.forEach(({ view }, n) => {
        expect(view).toMatchObject({ status: "completed", result: { output: [n, n] } });
      });
      expect(new Set(runs.map(({ view }) => view.id)).size).toBe(50);
    });

    test("one Idempotency-Key 100 times is one workflow; with another body it is refused", async () => {
      const wire = new Wire(fleet().ready);
      const headers = { "idempotency-key": `order 66 ${crypto.randomUUID()}` };
      const submit = (body: unknown) => wire.call("POST /v1/workflows", { headers, body });
      // Canonical JSON: neither the order of the keys nor the spaces count.
      const bodies = [
        '{"agent":"probe","input":{"output":1,"sleepMs":5}}',
        '{ "input": {"sleepMs":5, "output":1}, "agent":"probe" }',
      ];
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => submit(bodies[n % 2])));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      const ids = new Set(answers.map(({ json }) => Object(json).id));
      expect(ids.size).toBe(1);
      const [id] = ids;
      const view = await fleet().client.wait(id);
      expect(view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });

      const other = await submit({ agent: "probe", input: { output: 2 } });
      expect([other.status, other.json]).toMatchObject([409, { code: "idempotency-conflict" }]);
      const again = await submit(bodies[0]);
      expect([again.status, again.json]).toMatchObject([202, { id, status: "completed" }]);
    });
  });
}
