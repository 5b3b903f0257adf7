import { needsOf, type PhaseRequest, planIssues, type TaskRequest } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";

const agents = new Map([["worker", { mayPlan: false }]]);

const task = (id: string, more: Partial<TaskRequest> = {}): TaskRequest => ({
  id,
  agent: "worker",
  input: "",
  ...more,
});
const phase = (parallel: boolean, ...tasks: TaskRequest[]): PhaseRequest => ({ name: "p", parallel, tasks });
const named = (count: number, prefix: string, more: Partial<TaskRequest> = {}) =>
  Array.from({ length: count }, (_, n) => task(`${prefix}${n}`, more));

/** What is wrong, without the words for it. */
const issuesOf = (phases: PhaseRequest[], before?: PhaseRequest[]) =>
  planIssues(phases, agents, ["plan", "phases"], before).map(({ path, code }) => `${path} ${code}`);

describe("a task needs", () => {
  const phases = [
    phase(true, task("a"), task("b")),
    phase(false, task("c"), task("d"), task("e", { dependsOn: ["a"] }), task("f")),
    phase(true, task("g", { dependsOn: [] }), task("h", { dependsOn: ["g", "c", "g"] }), task("i")),
  ];
  test.each([
    ["nothing, in a parallel first phase", 0, 1, { tasks: [], phase: undefined }],
    ["the phase before", 1, 0, { tasks: [], phase: 0 }],
    ["the phase before and the task listed before it, in a sequential phase", 1, 1, { tasks: ["c"], phase: 0 }],
    ["exactly what it depends on", 1, 2, { tasks: ["a"], phase: undefined }],
    ["a task with dependencies that is listed before it", 1, 3, { tasks: ["e"], phase: 0 }],
    ["nothing, when it depends on nothing", 2, 0, { tasks: [], phase: undefined }],
    ["each task once, however often it is named", 2, 1, { tasks: ["g", "c"], phase: undefined }],
    ["only the phase before, in a parallel phase", 2, 2, { tasks: [], phase: 1 }],
  ])("%s", (_, p, index, needs) => {
    expect(needsOf(phases, p, index)).toEqual(needs);
  });
});

describe("a plan is refused", () => {
  const first = phase(true, task("a"), task("b"));
  test.each<[string, PhaseRequest[], string[]]>([
    [
      "for an agent type that nobody knows",
      [phase(true, task("a", { agent: "nobody" }))],
      ["/plan/phases/0/tasks/0/agent unknown-agent"],
    ],
    ["for a task that is in it twice", [first, phase(true, task("b"))], ["/plan/phases/1/tasks/0/id duplicate-task"]],
    [
      "for a dependency that is not in it",
      [phase(true, task("a", { dependsOn: ["b", "x"] }), task("b"))],
      ["/plan/phases/0/tasks/0/dependsOn/1 unknown-dependency"],
    ],
    [
      "for a task that waits for itself",
      [phase(true, task("a", { dependsOn: ["a"] }))],
      ["/plan/phases/0/tasks/0/dependsOn cyclic-dependency"],
    ],
    [
      "for tasks that wait for each other",
      [phase(true, task("a", { dependsOn: ["b"] }), task("b", { dependsOn: ["c"] }), task("c", { dependsOn: ["a"] }))],
      ["/plan/phases/0/tasks/0/dependsOn cyclic-dependency"],
    ],
    [
      "for a circle that the order of a sequential phase closes",
      [phase(false, task("a", { dependsOn: ["b"] }), task("b"))],
      ["/plan/phases/0/tasks/0/dependsOn cyclic-dependency"],
    ],
    [
      "for a circle that the order of the phases closes",
      [phase(true, task("a"), task("b", { dependsOn: ["d"] })), phase(true, task("c")), phase(true, task("d"))],
      ["/plan/phases/0/tasks/1/dependsOn cyclic-dependency"],
    ],
    [
      "for a template of a task that is not in it",
      [phase(true, task("a", { input: { deep: ["", "of {{tasks.x.output}}"] } }))],
      ["/plan/phases/0/tasks/0/input/deep/1 unresolvable-template"],
    ],
    [
      "for a template of a task beside it",
      [phase(true, task("a"), task("b", { input: { "a/b~c": "{{tasks.a.output}}" } }))],
      ["/plan/phases/0/tasks/1/input/a~1b~0c unresolvable-template"],
    ],
    [
      "for a template of itself",
      [phase(true, task("a", { input: "{{tasks.a.output}}" }))],
      ["/plan/phases/0/tasks/0/input unresolvable-template"],
    ],
    [
      "for a template of a later task",
      [phase(false, task("a", { input: "{{tasks.b.output}}" }), task("b"))],
      ["/plan/phases/0/tasks/0/input unresolvable-template"],
    ],
    ...[
      "{{tasks.a}}",
      "{{tasks.a.outputs}}",
      "{{task.a.output}}",
      "{{}}",
      "{{input..x}}",
      "{{tasks.a b.output}}",
      "{{a | b}}",
    ].map((input): [string, PhaseRequest[], string[]] => [
      `for the template ${input}`,
      [first, phase(true, task("c", { input }))],
      ["/plan/phases/1/tasks/0/input unresolvable-template"],
    ]),
  ])("%s", (_, phases, issues) => {
    expect(issuesOf(phases)).toEqual(issues);
  });

  test("for all that is wrong at once", () => {
    const phases = [
      phase(
        true,
        task("a", { agent: "nobody", dependsOn: ["b", "x"] }),
        task("b", { dependsOn: ["a"], input: "{{tasks.y.output}}" }),
      ),
      phase(false, task("a", { agent: "nobody", input: ["{{oops}}", "{{tasks.b.output}}{{nope}}"] })),
    ];
    expect(issuesOf(phases).toSorted()).toEqual([
      "/plan/phases/0/tasks/0/agent unknown-agent",
      "/plan/phases/0/tasks/0/dependsOn cyclic-dependency",
      "/plan/phases/0/tasks/0/dependsOn/1 unknown-dependency",
      "/plan/phases/0/tasks/1/input unresolvable-template",
      "/plan/phases/1/tasks/0/agent unknown-agent",
      "/plan/phases/1/tasks/0/id duplicate-task",
      "/plan/phases/1/tasks/0/input/0 unresolvable-template",
      "/plan/phases/1/tasks/0/input/1 unresolvable-template",
    ]);
  });

  test("for its 2,001st task, and for nothing else then", () => {
    expect(issuesOf([phase(true, ...named(2000, "a"))])).toEqual([]);
    expect(issuesOf([phase(true, ...named(2001, "a", { agent: "nobody" }))])).toEqual(["/plan/phases too-many-tasks"]);
  });
});

describe("a plan is accepted", () => {
  test.each<[string, PhaseRequest[]]>([
    [
      "with a template of a task of the phase before",
      [phase(true, task("a")), phase(true, task("b", { input: "{{tasks.a.output.x.0}}" }))],
    ],
    [
      "with a template of a task that it depends on through others",
      [
        phase(true, task("a")),
        phase(true, task("b")),
        phase(true, task("c", { dependsOn: ["b"], input: "{{ tasks.a.output }}" })),
      ],
    ],
    ["with templates of the input", [phase(true, task("a", { input: ["{{input}}", "{{input.x.0}}", "{{ input }}"] }))]],
    [
      "with a dependency on a later phase",
      [phase(true, task("a", { dependsOn: ["b"] })), phase(true, task("b", { dependsOn: [] }))],
    ],
    ["with braces that are no template", [phase(true, task("a", { input: "{a} {{ {b} }} }}{{" }))]],
    [
      "with names that objects have anyway",
      [phase(true, task("constructor")), phase(true, task("__proto__", { input: "{{tasks.constructor.output}}" }))],
    ],
  ])("%s", (_, phases) => {
    expect(issuesOf(phases)).toEqual([]);
  });

  test("of two phases of 1,000 tasks, in less than a second of this processor", () => {
    // Not of the clock on the wall, which runs on while a busy machine does something else.
    const before = process.cpuUsage();
    expect(
      issuesOf([phase(true, ...named(1000, "a")), phase(true, ...named(1000, "b", { input: "{{tasks.a7.output}}" }))]),
    ).toEqual([]);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(1000);
  });
});

describe("phases that are appended", () => {
  const before = [phase(true, task("a"), task("b", { agent: "gone" }))];
  test("may depend on tasks and take outputs of the plan as it stands", () => {
    expect(
      issuesOf(
        [
          phase(
            true,
            task("c", { dependsOn: ["a"], input: "{{tasks.a.output}}" }),
            task("d", { input: "{{tasks.b.output}}" }),
          ),
        ],
        before,
      ),
    ).toEqual([]);
  });

  test("are told of what is wrong with them alone, at their own places", () => {
    expect(issuesOf([phase(true, task("a")), phase(true, task("c", { dependsOn: ["x"] }))], before)).toEqual([
      "/plan/phases/0/tasks/0/id duplicate-task",
      "/plan/phases/1/tasks/0/dependsOn/0 unknown-dependency",
    ]);
  });

  test("count together with the plan as it stands", () => {
    expect(issuesOf([phase(true, ...named(1001, "n"))], [phase(true, ...named(1000, "a"))])).toEqual([
      "/plan/phases too-many-tasks",
    ]);
  });
});
