import { ProbeInput, probeInputIssues, unsupportedProbeFields } from "@flotilla/workflow";
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
    { steps: [{ tool: "idempotent" }], crash: [{ step: 0, at: "during" }] },
  ])("is taken: %j", (input) => {
    expect(probeInputIssues(input)).toEqual([]);
    expect(unsupportedProbeFields(input)).toEqual([]);
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

  test("shows the problems beside a template", () => {
    expect(paths(probeInputIssues({ sleepMs: "{{input.ms}}", busyMs: "soon" }))).toEqual(["/busyMs"]);
  });

  test("may name what this release does not do, and is told where", () => {
    const input = {
      handoff: { to: "research", payload: {} },
      approval: { summary: "sure?" },
      awaitSignal: "go",
    };
    expect(probeInputIssues(input)).toEqual([]);
    expect(paths(unsupportedProbeFields(input))).toEqual(["/handoff", "/approval", "/awaitSignal"]);
  });

  test.each([null, "text", 7, [], { steps: 1 }, { steps: [null, "pure"] }])(
    "of any shape can be asked for what is not supported: %j",
    (input) => {
      expect(unsupportedProbeFields(input)).toEqual([]);
    },
  );
});
