import { beforeAll, describe, expect, test } from "vitest";
import type { Fleet } from "../fleet.ts";
import { inTurn, planOf, probe, probes, run, together } from "../plans.ts";
import { type Call, Wire } from "../wire.ts";

type Row = [rule: string, target: string, answer: string, call?: Call];

const submit = (rule: string, body: unknown, answer: string, headers: Record<string, string> = {}): Row => [
  rule,
  "POST /v1/workflows",
  answer,
  { body, headers },
];
const alone = (rest: object) => ({ agent: "probe", input: {}, ...rest });
const task = "/plan/phases/0/tasks/0";
const nested = (depth: number) => `{"agent":"probe","input":{"output":${"[".repeat(depth)}${"]".repeat(depth)}}}`;

const bodies: Row[] = [
  submit("no JSON", "{", "400 invalid-json"),
  submit("nothing", "", "400 invalid-json"),
  submit("an array", [], "400 invalid-body /"),
  submit("no input", { agent: "probe" }, "400 invalid-body /input"),
  submit("an unknown field", alone({ color: "red" }), "400 invalid-body /color"),
  submit("plan and agent", { ...planOf(together("p", [probe("a")])), agent: "probe" }, "400 invalid-body /agent"),
  submit("an unknown agent", { agent: "nobody", input: "x" }, "400 invalid-body /agent"),
  submit("an ill-formed agent", { agent: "No Body", input: "x" }, "400 invalid-body /agent"),
  submit("a wrong priority", alone({ priority: "urgent" }), "400 invalid-body /priority"),
  submit("a concurrency of 0", alone({ concurrency: 0 }), "400 invalid-body /concurrency"),
  submit("no phases", { input: "x", plan: { phases: [] } }, "400 invalid-body /plan/phases"),
  submit("a phase without tasks", planOf(together("p", [])), "400 invalid-body /plan/phases/0/tasks"),
  submit("a task id with a space", planOf(together("p", [probe("a b")])), `400 invalid-body ${task}/id`),
  submit(
    "a task id twice",
    planOf(together("p", [probe("a"), probe("a")])),
    "400 invalid-body /plan/phases/0/tasks/1/id",
  ),
  submit(
    "an unknown dependency",
    planOf(together("p", [probe("a", {}, { dependsOn: ["b"] })])),
    `400 invalid-body ${task}/dependsOn/0`,
  ),
  submit(
    "a cycle",
    planOf(together("p", [probe("a", {}, { dependsOn: ["b"] }), probe("b", {}, { dependsOn: ["a"] })])),
    "400 invalid-body *",
  ),
  submit("itself as a dependency", planOf(together("p", [probe("a", {}, { dependsOn: ["a"] })])), "400 invalid-body *"),
  submit("2,001 tasks", planOf(together("p", probes(2001, "t"))), "400 invalid-body /plan/phases"),
  submit(
    "a template of no dependency",
    planOf(together("p", [probe("a", { output: ["{{tasks.b.output}}"] }), probe("b")])),
    `400 invalid-body ${task}/input/output/0`,
  ),
  submit(
    "a template of no task",
    planOf(inTurn("p", [probe("a", { output: "{{tasks.zz.output}}" })])),
    `400 invalid-body ${task}/input/output`,
  ),
  submit(
    "no attempt",
    planOf(together("p", [probe("a", {}, { retry: { attempts: 0 } })])),
    `400 invalid-body ${task}/retry/attempts`,
  ),
  submit(
    "a timeout of 0",
    planOf(together("p", [probe("a", {}, { timeoutMs: 0 })])),
    `400 invalid-body ${task}/timeoutMs`,
  ),
  submit(
    "a crash during a pure step",
    alone({ input: { steps: [{ tool: "pure" }], crash: [{ step: 0, at: "during" }] } }),
    "400 invalid-body *",
  ),
  submit("an unknown field of the probe", alone({ input: { explode: true } }), "400 invalid-body /input/explode"),
  submit("three mistakes at once", { input: 1, priority: 1, tags: [] }, "400 invalid-body /input /priority /tags"),
  submit(
    "eleven tags",
    alone({ tags: Object.fromEntries(probes(11, "k").map(({ id }) => [id, "v"])) }),
    "400 invalid-body /tags",
  ),
  submit("a key of 256 characters", alone({}), "400 invalid-body /headers/idempotency-key", {
    "idempotency-key": "k".repeat(256),
  }),
  submit("a type that is not JSON", "input=x", "415 unsupported-media-type", {
    "content-type": "application/x-www-form-urlencoded",
  }),
  submit("more than 1 MiB", `{"agent":"probe","input":{"output":"${"x".repeat(1024 * 1024)}"}}`, "413 too-large"),
  submit("65 levels", nested(63), "413 too-large"),
  submit("a budget of nothing", alone({ budget: {} }), "400 invalid-body /budget"),
  submit(
    "a budget below nothing",
    alone({ budget: { usd: -1, tokens: 0.5 } }),
    "400 invalid-body /budget/tokens /budget/usd",
  ),
  submit("a callback", alone({ callbackUrl: "https://example.com/" }), "422 not-supported /callbackUrl"),
  submit("a deadline that is no time", alone({ deadline: "tomorrow" }), "400 invalid-body /deadline"),
  submit(
    "a start after the deadline",
    alone({ deadline: "2100-01-01T00:00:00.000Z", startAt: "2101-01-01T00:00:00.000Z" }),
    "400 invalid-body /deadline",
  ),
  submit(
    "a fallback",
    planOf(together("p", [probe("a", {}, { fallback: "nobody" })])),
    `400 invalid-body ${task}/fallback`,
  ),
  submit(
    "compensation",
    planOf(
      together("p", [probe("a", {}, { compensate: { agent: "probe", input: { output: "{{tasks.x.output}}" } } })]),
    ),
    `400 invalid-body ${task}/compensate/input/output`,
  ),
];

const unknown = `wf_0a_${"z".repeat(26)}`;
const calls: Row[] = [
  ["no key", "GET /v1/workflows", "401 unauthenticated", { key: null }],
  ["a wrong key", "GET /v1/workflows", "401 unauthenticated", { key: "flk_nobody" }],
  ["a wrong key before a wrong body", "POST /v1/workflows", "401 unauthenticated", { key: "flk_nobody", body: "{" }],
  ["an unknown id", `GET /v1/workflows/${unknown}`, "404 not-found"],
  ["an ill-formed id", "GET /v1/workflows/7", "404 not-found"],
  ["an unknown task", "GET /v1/workflows/ID/tasks/none", "404 not-found"],
  ["an unknown artifact", "GET /v1/workflows/ID/artifacts/none", "404 not-found"],
  ["an unknown path", "GET /v1/none", "404 not-found"],
  ["cancel of an unknown id", `POST /v1/workflows/${unknown}/cancel`, "404 not-found"],
  ["DELETE", "DELETE /v1/workflows/ID", "405 method-not-allowed"],
  ["PUT", "PUT /v1/workflows", "405 method-not-allowed", { body: {} }],
  ["GET on cancel", "GET /v1/workflows/ID/cancel", "405 method-not-allowed"],
  ["a limit of 201", "GET /v1/workflows?limit=201", "400 invalid-body /query/limit"],
  ["an unknown status", "GET /v1/workflows?status=lost", "400 invalid-body /query/status"],
  ["a tag without a value", "GET /v1/workflows?tag=k", "400 invalid-body /query/tag"],
  ["a cursor that is none of ours", "GET /v1/workflows?cursor=nonsense", "400 invalid-cursor"],
  ["after -1", "GET /v1/workflows/ID/events?after=-1", "400 invalid-body /query/after"],
  ["1,001 events", "GET /v1/workflows/ID/events?limit=1001", "400 invalid-body /query/limit"],
  [
    "compensation on cancel",
    "POST /v1/workflows/ID/cancel",
    "400 invalid-body /compensate",
    { body: { compensate: "please" } },
  ],
  ["an unknown field of cancel", "POST /v1/workflows/ID/cancel", "400 invalid-body /force", { body: { force: true } }],
];

/** Requests that are refused, each with what it is told. `*` stands for a path that only has to be there. */
export function badRequestsAreRefused(fleet: () => Fleet): void {
  describe("a bad request", () => {
    let id: string;
    let before: number;
    const count = async () => (await fleet().client.list({ limit: 200 })).workflows.length;
    beforeAll(async () => {
      ({ id } = (await run(fleet(), planOf(together("p", [probe("a")])))).view);
      before = await count();
    });

    test.each([...bodies, ...calls])("%s: %s is %s", async (_, target, answer, call = {}) => {
      const got = await new Wire(fleet().ready).call(target.replace("ID", id), call);
      const [status, code, ...paths] = answer.split(" ");
      const problem = Object(got.json);
      expect([String(got.status), problem.code, problem.status], got.text).toEqual([status, code, got.status]);
      expect(got.headers.get("content-type")).toMatch(/^application\/problem\+json(;|$)/);
      for (const field of ["type", "title", "detail"]) expect(problem[field]).toMatch(/./);
      const told: { path: string; code: string; message: string }[] = problem.errors ?? [];
      for (const error of told) expect(Object.keys(error).toSorted()).toEqual(["code", "message", "path"]);
      if (paths[0] === "*") expect(told.map(({ path }) => path)).not.toEqual([]);
      else expect(told.map(({ path }) => path || "/").toSorted()).toEqual(paths.toSorted());
      if (got.status === 405) expect(got.headers.get("allow")).toMatch(/[A-Z]+/);
      if (got.status === 401) expect(got.headers.get("www-authenticate")).toMatch(/^Bearer/);
    });

    test("leaves nothing behind, and what lies just inside the limits is taken", async () => {
      expect(await count()).toBe(before);
      const wire = new Wire(fleet().ready);
      const taken = [
        nested(62),
        `{"agent":"probe","input":{"output":"${"x".repeat(1024 * 1024 - 100)}"}}`,
        JSON.stringify(planOf(together("p", [probe("a".repeat(64))]))),
      ];
      for (const body of taken) expect((await wire.call("POST /v1/workflows", { body })).status).toBe(202);
      const key = await wire.call("POST /v1/workflows", {
        body: alone({}),
        headers: { "idempotency-key": "~".repeat(255) },
      });
      expect(key.status).toBe(202);
    });
  });
}
