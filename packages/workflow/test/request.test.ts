import { AgentType, jsonPointer, shardOf, TaskId, Tenant, WorkflowId, WorkflowRequest } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";
import { parallel, task } from "./log.ts";

const long = (count: number, text = "a") => text.repeat(count);

describe.each([
  [
    "workflow",
    WorkflowId,
    [`wf_0a_${long(26)}`],
    ["", `wf_0A_${long(26)}`, `wf_0a_${long(25)}`, `wf_0a_${long(27)}`, `x wf_0a_${long(26)}`, `wf_0a_${long(26)}\n`],
  ],
  ["task", TaskId, ["a", "A-b_9", "__proto__", long(64)], ["", "a.b", "a:b", "a b", "é", long(65), "a\n"]],
  ["agent type", AgentType, ["a", "a-1", long(32)], ["", "A", "1a", "-a", "a_b", long(33)]],
  ["tenant", Tenant, ["a", "0", "a-b", long(63)], ["", "-a", "A", "a_b", long(64)]],
])("the name of a %s", (_, schema, good, bad) => {
  test.each(good)("may be %j", (name) => {
    expect(schema.safeParse(name).success).toBe(true);
  });
  test.each(bad)("may not be %j", (name) => {
    expect(schema.safeParse(name).success).toBe(false);
  });
});

test("a workflow id names its shard", () => {
  expect(shardOf(`wf_0f_${long(26)}`)).toBe("0f");
});

test("a JSON pointer escapes what it must", () => {
  expect(jsonPointer([])).toBe("");
  expect(jsonPointer(["a/b", 0, "~1", ""])).toBe("/a~1b/0/~01/");
});

describe("the body of a request", () => {
  const plan = (more: object) => ({
    input: "",
    plan: { phases: [{ name: "p", parallel: true, tasks: [{ ...task("a"), ...more }] }] },
  });
  const at = (field: string) => `/plan/phases/0/tasks/0/${field}`;
  test.each<[string, unknown, string[]]>([
    ["no object", "text", [""]],
    ["no input", {}, ["/input"]],
    ["a list as input", { input: [] }, ["/input"]],
    ["a plan and an agent", { input: "", agent: "a", plan: { phases: parallel([task("a")]) } }, ["/agent"]],
    ["no phases", { input: "", plan: { phases: [] } }, ["/plan/phases"]],
    ["a phase without tasks", { input: "", plan: { phases: parallel([]) } }, ["/plan/phases/0/tasks"]],
    ["a task without input", plan({ input: undefined }), [at("input")]],
    ["a priority that is none", { input: "", priority: "urgent" }, ["/priority"]],
    ["no tasks at once", { input: "", concurrency: 0 }, ["/concurrency"]],
    ["half a task at once", { input: "", concurrency: 1.5 }, ["/concurrency"]],
    [
      "11 tags",
      { input: "", tags: Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`t${n}`, "x"])) },
      ["/tags"],
    ],
    ["a tag that is no word", { input: "", tags: { a: "b c" } }, ["/tags/a"]],
    ["no attempts", plan({ retry: { attempts: 0 } }), [at("retry/attempts")]],
    ["no time", plan({ timeoutMs: 0 }), [at("timeoutMs")]],
    ["more time than timers have", plan({ timeoutMs: 2 ** 31 }), [at("timeoutMs")]],
    [
      "several problems",
      plan({ id: "a b", timeoutMs: "1", onFailure: "hope" }),
      [at("id"), at("onFailure"), at("timeoutMs")],
    ],
  ])("is refused with %s", (_, body, paths) => {
    const issues = WorkflowRequest.safeParse(body).error?.issues ?? [];
    expect(issues.map(({ path }) => jsonPointer(path)).toSorted()).toEqual(paths);
  });

  test.each([
    ["the body", { input: "", oops: 1 }],
    ["the plan", { input: "", plan: { phases: parallel([task("a")]), oops: 1 } }],
    ["a task", plan({ oops: 1 })],
    ["a retry", plan({ retry: { attempts: 1, oops: 1 } })],
  ])("is refused with an unknown field in %s", (_, body) => {
    expect(WorkflowRequest.safeParse(body).error?.issues).toMatchObject([
      { code: "unrecognized_keys", keys: ["oops"] },
    ]);
  });

  test("may have any JSON as the input of a task, null too", () => {
    for (const input of [null, 0, "", [], {}, false])
      expect(WorkflowRequest.safeParse(plan({ input })).success).toBe(true);
  });

  test("says how long to wait between attempts, where it does not", () => {
    expect(WorkflowRequest.parse(plan({ retry: { attempts: 2 } })).plan?.phases[0]?.tasks[0]?.retry).toEqual({
      attempts: 2,
      backoffMs: 1000,
    });
  });
});
