import { type TaskRequest, unsupportedFields, validateRequest, WorkflowRequest } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { parallel, task } from "./log.ts";

const agents = new Map([
  ["worker", { mayPlan: false }],
  ["planner", { mayPlan: true }],
  ["probe", { mayPlan: false }],
]);
const text = ({ path, code }: { path: string; code: string }) => `${path} ${code}`;
const deadline = "2030-01-01T00:00:00Z";

describe("a request that is well-formed and wrong", () => {
  test.each<[string, WorkflowRequest, string[]]>([
    ["nothing, with an agent that is known", { input: "", agent: "worker" }, []],
    ["an agent that nobody knows", { input: "", agent: "nobody" }, ["/agent unknown-agent"]],
    ["nothing, with neither plan nor agent", { input: "" }, []],
    [
      "the input of a probe",
      { input: { steps: [{ tool: "magic" }], oops: 1 }, agent: "probe" },
      ["/input/steps/0/tool invalid-input", "/input/oops invalid-input"],
    ],
    [
      "all at once in a plan",
      {
        input: "",
        plan: {
          phases: parallel([
            task("a", { agent: "nobody" }),
            task("b", { agent: "probe", input: { sleepMs: -1 }, dependsOn: ["x"] }),
          ]),
        },
      },
      [
        "/plan/phases/0/tasks/0/agent unknown-agent",
        "/plan/phases/0/tasks/1/dependsOn/0 unknown-dependency",
        "/plan/phases/0/tasks/1/input/sleepMs invalid-input",
      ],
    ],
    [
      "nothing in a probe's input that a template fills in",
      { input: "", plan: { phases: parallel([task("a", { agent: "probe", input: { sleepMs: "{{input}}" } })]) } },
      [],
    ],
  ])("is told of %s", (_, request, issues) => {
    expect(validateRequest(request, agents).map(text).toSorted()).toEqual(issues.toSorted());
  });

  test("is told that nobody can plan, when no planner is there", () => {
    expect(validateRequest({ input: "" }, new Map()).map(text)).toEqual(["/agent unknown-agent"]);
  });
});

test("what this release does not do is refused field by field, all at once", () => {
  const request = WorkflowRequest.parse({
    input: "",
    budget: { usd: 1 },
    callbackUrl: "http://example.test/",
    deadline,
    startAt: deadline,
    plan: {
      phases: parallel([
        task("a", {
          deadline,
          fallback: "worker",
          compensate: {
            agent: "worker",
            input: "",
          },
          onFailure: "compensate",
        }),
        task("b", {
          agent: "probe",
          input: {
            steps: [{ tool: "pure" }, { tool: "unsafe" }, { tool: "queryable" }],
            handoff: { to: "probe", payload: {} },
          },
        }),
      ]),
    },
  });
  expect(unsupportedFields(request).map(text).toSorted()).toEqual(
    [
      "/budget",
      "/callbackUrl",
      "/deadline",
      "/startAt",
      ...["deadline", "fallback", "compensate", "onFailure"].map((field) => `/plan/phases/0/tasks/0/${field}`),
    ]
      .map((path) => `${path} not-supported`)
      .toSorted(),
  );
});

test("every field that this release does is accepted", () => {
  const more: Partial<TaskRequest> = {
    dependsOn: [],
    priority: "low",
    timeoutMs: 1,
    retry: { attempts: 1, backoffMs: 0 },
    onFailure: "continue",
  };
  const phases = parallel([task("a", more)]).map((phase) => ({ ...phase, concurrency: 1 }));
  const request = WorkflowRequest.parse({
    input: {},
    priority: "high",
    concurrency: 3,
    tags: { team: "x" },
    plan: { phases },
  });
  expect(unsupportedFields(request)).toEqual([]);
  expect(validateRequest(request, agents)).toEqual([]);
});
