import { type TaskRequest, validateRequest, WorkflowRequest } from "@flotilla/workflow";
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
      "what undoes a task, as of the task",
      {
        input: "",
        plan: {
          phases: parallel(
            [task("a", { compensate: { agent: "nobody", input: "{{tasks.b.output}}" } })],
            [task("b", { compensate: { agent: "probe", input: { sleepMs: -1, output: "{{tasks.a.output}}" } } })],
          ),
        },
      },
      [
        "/plan/phases/0/tasks/0/compensate/agent unknown-agent",
        "/plan/phases/0/tasks/0/compensate/input unresolvable-template",
        "/plan/phases/1/tasks/0/compensate/input/sleepMs invalid-input",
      ],
    ],
    [
      "a deadline that is not after the start",
      { input: "", agent: "worker", startAt: "2030-01-01T01:00:00+01:00", deadline },
      ["/deadline invalid"],
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

test("every field that this release does is accepted", () => {
  const more: Partial<TaskRequest> = {
    dependsOn: [],
    priority: "low",
    timeoutMs: 1,
    retry: { attempts: 1, backoffMs: 0 },
    deadline,
    compensate: { agent: "worker", input: "{{tasks.a.output}}" },
    fallback: "planner",
    recovery: { unknown: "escalate", critical: "escalate" },
    onFailure: "continue",
  };
  const phases = parallel([task("a", more)]).map((phase) => ({ ...phase, concurrency: 1 }));
  const request = WorkflowRequest.parse({
    input: {},
    priority: "high",
    startAt: "2029-01-01T00:00:00+02:00",
    deadline,
    concurrency: 3,
    tags: { team: "x" },
    plan: { phases },
  });
  expect(validateRequest(request, agents)).toEqual([]);
});
