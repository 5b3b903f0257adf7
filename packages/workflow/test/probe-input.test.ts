import { ProbeInput, probeInputIssues } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";

const paths = (issues: { path: string }[]) => issues.map(({ path }) => path);

describe("the input of the probe", () => {
  test.each([
    {},
    { output: null, sleepMs: 0, busyMs: 1 },
    { outputBytes: 200 },
    {
      steps: [
        { tool: "pure" },
        { tool: "idempotent", key: "k", sleepMs: 5 },
        { tool: "queryable" },
        { tool: "unsafe" },
      ],
    },
    { fail: [{ attempt: 1, class: "rate-limit" }], crash: [{}] },
    { approval: { summary: "sure?" }, awaitSignal: "go" },
    { handoff: { to: "probe", payload: { output: 1 } } },
    { steps: [{ tool: "idempotent" }], crash: [{ step: 0, at: "during" }] },
  ])("is taken: %j", (input) => {
    expect(probeInputIssues(input)).toEqual([]);
    expect(ProbeInput.safeParse(input).success).toBe(true);
  });

  test.each([
    ["text", [""]],
    [{ sleep: 1, wait: 2 }, ["/sleep", "/wait"]],
    [{ sleepMs: -1, busyMs: 1.5, outputBytes: "many" }, ["/outputBytes", "/sleepMs", "/busyMs"]],
    [{ output: 1, outputBytes: 2 }, ["/outputBytes"]],
    [{ steps: [{ tool: "pure" }, { tool: "harmless" }, { key: "k" }] }, ["/steps/1/tool", "/steps/2/tool"]],
    [{ steps: [{ tool: "pure" }], crash: [{ step: 0, at: "during" }] }, ["/crash/0/at"]],
    [{ crash: [{ step: 0 }], fail: [{ attempt: 1, class: "data", step: 1 }] }, ["/fail/0/step", "/crash/0/step"]],
    [{ fail: [{ attempt: 0, class: "odd" }] }, ["/fail/0/attempt", "/fail/0/class"]],
  ])("is refused with every problem at once: %j", (input, expected) => {
    expect(paths(probeInputIssues(input)).toSorted()).toEqual(expected.toSorted());
  });

  test.each([
    "{{input}}",
    { sleepMs: "{{tasks.a.output.output}}" },
    { steps: "{{input.steps}}" },
    { steps: [{ tool: "{{input.tool}}", sleepMs: "{{input.ms}}" }, "{{input.step}}"] },
  ])("may be a template at any place: %j", (input) => {
    expect(probeInputIssues(input)).toEqual([]);
  });

  test.each([
    [{ output: 1, outputBytes: 2 }, "give output or outputBytes, not both"],
    [{ crash: [{ step: 3 }] }, "there is no step 3"],
    [{ steps: [{ tool: "pure" }], crash: [{ step: 0, at: "during" }] }, "a pure step has no effect to crash after"],
  ])("says in words what is wrong: %j", (input, message) => {
    expect(probeInputIssues(input)).toMatchObject([{ code: "invalid-input", message }]);
  });

  test.each([
    [{ outputBytes: 64 * 1024 * 1024 }, { outputBytes: 64 * 1024 * 1024 + 1 }],
    [{ sleepMs: 2_147_483_647 }, { sleepMs: 2_147_483_648 }],
    [{ busyMs: 0 }, { busyMs: -1 }],
    [
      { steps: [{ tool: "idempotent", key: "k".repeat(1000) }] },
      { steps: [{ tool: "idempotent", key: "k".repeat(1001) }] },
    ],
    [{ steps: [{ tool: "idempotent", key: "k" }] }, { steps: [{ tool: "idempotent", key: "" }] }],
    [{ crash: [{ attempt: 1, claim: 1 }] }, { crash: [{ attempt: 1, claim: 0 }] }],
  ])("has bounds: %j is the last that is taken", (last, beyond) => {
    expect(probeInputIssues(last)).toEqual([]);
    expect(probeInputIssues(beyond)).toHaveLength(1);
  });

  test("crashes before the first claim of the first attempt unless it is told otherwise", () => {
    expect(ProbeInput.parse({ crash: [{}] }).crash).toEqual([{ attempt: 1, claim: 1, at: "before" }]);
  });

  test.each(["transient", "rate-limit", "data", "critical", "unknown"])("fails as %s on command", (failureClass) => {
    expect(probeInputIssues({ fail: [{ attempt: 1, class: failureClass }] })).toEqual([]);
  });

  test.each(["before", "during", "after"])("crashes %s a step on command", (at) => {
    expect(probeInputIssues({ steps: [{ tool: "unsafe" }], crash: [{ step: 0, at }] })).toEqual([]);
  });

  test.each([
    [{ handoff: { to: "research", payload: null, note: "" } }, ["/handoff/note"]],
    [{ approval: { summary: "s", by: "me" } }, ["/approval/by"]],
    [{ steps: [{ tool: "pure", wait: 1 }] }, ["/steps/0/wait"]],
    [{ fail: [{ attempt: 1, class: "data", when: 1 }] }, ["/fail/0/when"]],
    [{ crash: [{ when: 1 }] }, ["/crash/0/when"]],
    [{ awaitSignal: "" }, ["/awaitSignal"]],
  ])("refuses a field that it does not know, at any depth: %j", (input, expected) => {
    expect(paths(probeInputIssues(input))).toEqual(expected);
  });

  test("shows the problems beside a template", () => {
    expect(paths(probeInputIssues({ sleepMs: "{{input.ms}}", busyMs: "soon" }))).toEqual(["/busyMs"]);
  });
});
