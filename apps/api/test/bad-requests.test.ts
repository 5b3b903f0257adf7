import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as, keys, submitted, type TestApi, testApi } from "./api.ts";

let api: TestApi;
let id: string;

beforeAll(async () => {
  api = testApi();
  id = await submitted(api);
});
afterAll(() => api.app.close());

const json = { "content-type": "application/json" };
const acme = as(keys.acme, json);
const stranger = as(keys.other, { "content-type": "application/json" });
const task = { id: "a", agent: "research", input: {} };
const plan = (...tasks: unknown[]) => ({ input: "x", plan: { phases: [{ name: "p", parallel: true, tasks }] } });
const deep = (arrays: number) => `{"agent":"research","input":{"a":${"[".repeat(arrays)}${"]".repeat(arrays)}}}`;
const taskPath = "/plan/phases/0/tasks/0";

interface BadRequest {
  rule: string;
  target: string;
  /** Status, code and the paths of the problems; `(all)` is the path of the whole body. */
  answer: string;
  headers: Record<string, string>;
  body: unknown;
}

function call(rule: string, target: string, answer: string, headers = as(keys.acme), body?: unknown): BadRequest {
  return { rule, target, answer, headers, body };
}
function submit(rule: string, body: unknown, answer: string, headers: Record<string, string> = acme): BadRequest {
  return { rule, target: "POST /v1/workflows", answer, headers, body };
}

const submits = [
  submit("no key", {}, "401 unauthenticated", json),
  submit("a malformed Authorization", {}, "401 unauthenticated", { ...json, authorization: "Bearer" }),
  submit("Basic where Bearer is due", {}, "401 unauthenticated", { ...json, authorization: "Basic eDpr" }),
  submit("an unknown key", {}, "401 unauthenticated", as("nobody", json)),
  submit(
    "an unknown key before a wrong type",
    "x",
    "401 unauthenticated",
    as("nobody", { "content-type": "text/plain" }),
  ),
  submit("text", "{}", "415 unsupported-media-type", as(keys.acme, { "content-type": "text/plain" })),
  submit(
    "a form",
    "a=b",
    "415 unsupported-media-type",
    as(keys.acme, { "content-type": "application/x-www-form-urlencoded" }),
  ),
  submit(
    "a wrong type before a large body",
    "x".repeat(2_000_000),
    "415 unsupported-media-type",
    as(keys.acme, { "content-type": "text/plain" }),
  ),
  submit("a body above 1 MiB", JSON.stringify({ input: "x".repeat(1_048_576) }), "413 too-large"),
  submit("a body 65 levels deep", deep(63), "413 too-large"),
  submit("a body 100,000 levels deep", deep(100_000), "413 too-large"),
  submit("an empty body", "", "400 invalid-json"),
  submit("half a body", '{"input":', "400 invalid-json"),
  submit("a body that is not UTF-8", Buffer.from('{"input":"\xff"}', "latin1"), "400 invalid-json"),
  submit("NaN", '{"input":NaN}', "400 invalid-json"),
  submit("null", "null", "400 invalid-body (all)"),
  submit("an array", "[]", "400 invalid-body (all)"),
  submit("__proto__", '{"input":{"a":[{"__proto__":{}}]}}', "400 invalid-body /input/a/0/__proto__"),
  submit("an escaped __proto__", String.raw`{"input":{"\u005f_proto__":{}}}`, "400 invalid-body /input/__proto__"),
  submit("constructor.prototype", '{"input":{"constructor":{"prototype":{}}}}', "400 invalid-body /input/constructor"),
  submit("no input", {}, "400 invalid-body /input"),
  submit("an input that is a number", { input: 1 }, "400 invalid-body /input"),
  submit("unknown fields, all at once", { input: "x", "a/b": 1, c: 2 }, "400 invalid-body /a~1b /c"),
  submit("both plan and agent", { ...plan(task), agent: "research" }, "400 invalid-body /agent"),
  submit("an unknown priority", { input: "x", priority: "urgent" }, "400 invalid-body /priority"),
  submit(
    "eleven tags",
    { input: "x", tags: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`k${i}`, "v"])) },
    "400 invalid-body /tags",
  ),
  submit("a tag with a colon", { input: "x", tags: { "a:b": "c" } }, "400 invalid-body /tags/a:b"),
  submit(
    "several wrong fields, all at once",
    { input: "x", concurrency: 0, priority: 1, tags: 3 },
    "400 invalid-body /concurrency /priority /tags",
  ),
  submit("an empty plan", { input: "x", plan: { phases: [] } }, "400 invalid-body /plan/phases"),
  submit("an ill-formed task id", plan({ ...task, id: "a b" }), `400 invalid-body ${taskPath}/id`),
  submit("an unknown field of a task", plan({ ...task, when: 1 }), `400 invalid-body ${taskPath}/when`),
  submit("no attempts", plan({ ...task, retry: { attempts: 0 } }), `400 invalid-body ${taskPath}/retry/attempts`),
  submit("an unknown agent", { input: "x", agent: "nobody" }, "400 invalid-body /agent"),
  submit("an unknown agent in a plan", plan({ ...task, agent: "nobody" }), `400 invalid-body ${taskPath}/agent`),
  submit("a task id twice", plan(task, task), "400 invalid-body /plan/phases/0/tasks/1/id"),
  submit("an empty idempotency key", { input: "x" }, "400 invalid-body /headers/idempotency-key", {
    ...acme,
    "idempotency-key": "",
  }),
  submit("an idempotency key of 256 characters", { input: "x" }, "400 invalid-body /headers/idempotency-key", {
    ...acme,
    "idempotency-key": "k".repeat(256),
  }),
  submit("an idempotency key with an umlaut", { input: "x" }, "400 invalid-body /headers/idempotency-key", {
    ...acme,
    "idempotency-key": "\u00fc",
  }),
  submit(
    "fields of a later release, all at once",
    { input: "x", agent: "research", callbackUrl: "http://a.example/" },
    "422 not-supported /callbackUrl",
  ),
  submit(
    "an undoing by nobody",
    plan({ ...task, compensate: { agent: "nobody", input: "" } }),
    `400 invalid-body ${taskPath}/compensate/agent`,
  ),
  submit(
    "a probe told what it cannot do",
    { input: { sleepMs: -1 }, agent: "probe" },
    "400 invalid-body /input/sleepMs",
  ),
];

const unknownId = `wf_0a_${"z".repeat(26)}`;
const others = [
  call("an unknown id", `GET /v1/workflows/${unknownId}`, "404 not-found"),
  call("an ill-formed id", "GET /v1/workflows/wf_1", "404 not-found"),
  call("an id with a broken escape", "GET /v1/workflows/%zz", "404 not-found"),
  call("an id beyond any length", `GET /v1/workflows/${"a".repeat(5000)}`, "404 not-found"),
  call("another tenant's id", "GET /v1/workflows/ID", "404 not-found", as(keys.other)),
  call("another tenant's events", "GET /v1/workflows/ID/events", "404 not-found", as(keys.other)),
  call(
    "another tenant's stream",
    "GET /v1/workflows/ID/events",
    "404 not-found",
    as(keys.other, { accept: "text/event-stream" }),
  ),
  call("another tenant's cancel", "POST /v1/workflows/ID/cancel", "404 not-found", as(keys.other)),
  call("another tenant's artifacts", "GET /v1/workflows/ID/artifacts", "404 not-found", as(keys.other)),
  call("an unknown task", "GET /v1/workflows/ID/tasks/nobody", "404 not-found"),
  call("an ill-formed task id", "GET /v1/workflows/ID/tasks/a%20b", "404 not-found"),
  call("an unknown artifact", "GET /v1/workflows/ID/artifacts/none.md", "404 not-found"),
  call("an unknown path", "GET /v2", "404 not-found"),
  call("an unknown path below v1", "GET /v1/nothing", "404 not-found"),
  call("an unknown path below v1 without a key", "GET /v1/nothing", "401 unauthenticated", {}),
  call("a call of a later release", "POST /v1/workflows/ID/rewind", "404 not-found"),
  call("another tenant's retry", "POST /v1/workflows/ID/retry", "404 not-found", as(keys.other)),
  call("another tenant's fork", "POST /v1/workflows/ID/fork", "404 not-found", stranger, { fromSeq: 1 }),
  call("another tenant's fork with an input", "POST /v1/workflows/ID/fork", "404 not-found", stranger, {
    fromSeq: 1,
    input: "x",
  }),
  call("a retry of what has not ended", "POST /v1/workflows/ID/retry", "409 not-retryable"),
  call("an unknown field of retry", "POST /v1/workflows/ID/retry", "400 invalid-body /from", acme, { from: "b" }),
  call("a fork from nowhere", "POST /v1/workflows/ID/fork", "400 invalid-body /fromSeq", acme, {}),
  call("a fork without a body", "POST /v1/workflows/ID/fork", "400 invalid-json", as(keys.acme)),
  call("a fork from before the first event", "POST /v1/workflows/ID/fork", "400 invalid-body /fromSeq", acme, {
    fromSeq: 0,
  }),
  call("a fork from an event that is not there", "POST /v1/workflows/ID/fork", "400 invalid-body /fromSeq", acme, {
    fromSeq: 1000,
  }),
  call("a fork with an input of the wrong type", "POST /v1/workflows/ID/fork", "400 invalid-body /input /more", acme, {
    fromSeq: 1,
    input: 5,
    more: true,
  }),
  call("doubled slashes", "GET //v1//workflows", "404 not-found"),
  call("a trailing slash", "GET /v1/workflows/", "404 not-found"),
  call(
    "PUT on the list",
    "PUT /v1/workflows",
    "405 method-not-allowed",
    as(keys.acme, { "content-type": "text/plain" }),
    "x",
  ),
  call("DELETE on a workflow", "DELETE /v1/workflows/ID", "405 method-not-allowed"),
  call("GET on cancel", "GET /v1/workflows/ID/cancel", "405 method-not-allowed"),
  call("POST on health", "POST /health", "405 method-not-allowed"),
  call("limit 0", "GET /v1/workflows?limit=0", "400 invalid-body /query/limit"),
  call("limit abc", "GET /v1/workflows?limit=abc", "400 invalid-body /query/limit"),
  call("limit 201", "GET /v1/workflows?limit=201", "400 invalid-body /query/limit"),
  call("an empty limit", "GET /v1/workflows?limit=", "400 invalid-body /query/limit"),
  call("two limits", "GET /v1/workflows?limit=1&limit=2", "400 invalid-body /query/limit"),
  call(
    "an unknown status and a malformed tag, at once",
    "GET /v1/workflows?status=lost&tag=k",
    "400 invalid-body /query/status /query/tag",
  ),
  call("an unknown parameter", "GET /v1/workflows?size=1", "400 invalid-body /query/size"),
  call("a foreign cursor", "GET /v1/workflows?cursor=x", "400 invalid-cursor"),
  call("after -1", "GET /v1/workflows/ID/events?after=-1", "400 invalid-body /query/after"),
  call("1,001 events", "GET /v1/workflows/ID/events?limit=1001", "400 invalid-body /query/limit"),
  call(
    "a Last-Event-ID that is no number",
    "GET /v1/workflows/ID/events",
    "400 invalid-body /headers/last-event-id",
    as(keys.acme, { accept: "text/event-stream", "last-event-id": "abc" }),
  ),
  call("an unknown field of cancel", "POST /v1/workflows/ID/cancel", "400 invalid-body /why", acme, { why: 1 }),
  call("an odd wish for compensation", "POST /v1/workflows/ID/cancel", "400 invalid-body /compensate", acme, {
    compensate: "please",
  }),
];

interface Answer {
  code: string;
  errors?: { path: string }[];
}

describe("a bad request is answered with its problem", () => {
  it.each([...submits, ...others])("$rule: $answer", async ({ target, answer, headers, body }) => {
    const response = await api.app.inject({
      ...split(target),
      headers,
      ...(body !== undefined && { payload: textOf(body) }),
    });
    const problem = response.json<Answer>();
    const paths = problem.errors?.map(({ path }) => path || "(all)").toSorted() ?? [];
    const [status, code, ...expected] = answer.split(" ");
    expect([String(response.statusCode), problem.code, ...paths]).toEqual([status, code, ...expected.toSorted()]);
    expect(problem).toMatchObject({
      status: response.statusCode,
      type: expect.stringContaining("urn:"),
      title: expect.stringMatching(/./),
      detail: expect.stringMatching(/./),
    });
    expect(response.headers["content-type"]).toBe("application/problem+json");
    expect(response.headers["www-authenticate"]).toBe(status === "401" ? "Bearer" : undefined);
    expect(response.headers.allow === undefined).toBe(status !== "405");
  });
});

function split(target: string) {
  const method = target.slice(0, target.indexOf(" ")) as "GET" | "POST"; // or another one: the table says which
  return { method, url: target.slice(method.length + 1).replace("ID", id) };
}

function textOf(body: unknown): string | Buffer {
  return Buffer.isBuffer(body) || typeof body === "string" ? body : JSON.stringify(body);
}

describe("what is right beside them passes", () => {
  it.each([
    ["64 levels", deep(62)],
    ["a key named constructor", '{"agent":"research","input":{"constructor":"Ferrari"}}'],
    ["a text that names a prototype", '{"agent":"research","input":"__proto__"}'],
    ["a body just below 1 MiB", JSON.stringify({ agent: "research", input: "x".repeat(1_048_000) })],
  ])("%s", async (_, payload) => {
    const response = await api.app.inject({ method: "POST", url: "/v1/workflows", headers: acme, payload });
    expect(response.statusCode, response.body).toBe(202);
  });

  it("OPTIONS names the methods of a path", async () => {
    const answer = await api.app.inject({ method: "OPTIONS", url: "/v1/workflows", headers: as(keys.acme) });
    expect([answer.statusCode, answer.headers.allow]).toEqual([204, "GET, HEAD, OPTIONS, POST"]);
  });

  it("HEAD answers as GET, without the body", async () => {
    const answer = await api.app.inject({ method: "HEAD", url: `/v1/workflows/${id}`, headers: as(keys.acme) });
    expect([answer.statusCode, answer.body]).toEqual([200, ""]);
  });
});
