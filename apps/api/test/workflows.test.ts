import { SubmitView } from "@flotilla/workflow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { as, keys, sha256, submitted, type TestApi, testApi } from "./api.ts";

let api: TestApi;

beforeEach(() => {
  api = testApi();
});
afterEach(() => api.app.close());

const get = (url: string, key = keys.acme) => api.app.inject({ url, headers: as(key) });
const post = (payload: object, headers: Record<string, string> = {}, key = keys.acme) =>
  api.app.inject({ method: "POST", url: "/v1/workflows", headers: as(key, headers), payload });

const body = { input: "x", agent: "research" };
const task = { id: "a", phase: "main", agent: "research", attempt: 1, dependsOn: [], outputBytes: 2 };

describe("submit", () => {
  it("answers 202 with the id, its links and its location", async () => {
    const answer = await post(body);
    const { id, status, links } = SubmitView.parse(answer.json());
    expect([answer.statusCode, status]).toEqual([202, "queued"]);
    expect(answer.headers.location).toBe(`/v1/workflows/${id}`);
    expect(links).toEqual({
      self: `/v1/workflows/${id}`,
      events: `/v1/workflows/${id}/events`,
      cancel: `/v1/workflows/${id}/cancel`,
    });
  });

  it("gives the store the request with its defaults, under the tenant of the key", async () => {
    const retry = { attempts: 2 };
    const plan = {
      phases: [{ name: "p", parallel: false, tasks: [{ id: "a", agent: "research", input: {}, retry }] }],
    };
    await post({ input: { q: 1 }, plan }, {}, keys.other);
    expect(api.store.submitted).toMatchObject([
      {
        tenant: "other",
        request: { input: { q: 1 }, plan: { phases: [{ tasks: [{ retry: { attempts: 2, backoffMs: 1000 } }] }] } },
      },
    ]);
  });

  it("gives the same id for the same key and body, whatever the order of its fields", async () => {
    const headers = { "idempotency-key": "once", "content-type": "application/json" };
    const texts = [
      '{"input":{"a":1,"b":[2]},"agent":"research"}',
      '{ "agent": "research", "input": {"b":[2], "a":1.0} }',
    ];
    const answers = await Promise.all(
      texts.map((payload) =>
        api.app.inject({ method: "POST", url: "/v1/workflows", headers: as(keys.acme, headers), payload }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.json<SubmitView>().id)).size).toBe(1);
    expect(answers.map((answer) => answer.statusCode)).toEqual([202, 202]);
  });

  it("answers 409 for the same key with another body", async () => {
    await post(body, { "idempotency-key": "once" });
    const answer = await post({ ...body, input: "y" }, { "idempotency-key": "once" });
    expect([answer.statusCode, answer.json()]).toMatchObject([409, { code: "idempotency-conflict" }]);
  });

  it("knows an agent type that registered after the last look", async () => {
    await post(body);
    const [probe] = api.store.registered;
    if (probe) api.store.registered.push({ ...probe, type: "late" });
    expect((await post({ input: "x", agent: "late" })).statusCode).toBe(202);
  });

  it("lists at most a thousand problems and counts the others", async () => {
    const answer = await post({ ...body, ...Object.fromEntries(Array.from({ length: 1200 }, (_, i) => [`f${i}`, 1])) });
    const { errors, detail } = answer.json<{ errors: unknown[]; detail: string }>();
    expect([errors.length, detail]).toEqual([1000, "1200 problems were found; 200 more are not listed"]);
  });
});

describe("read", () => {
  it("pages through the list, newest first, and filters it", async () => {
    for (const tag of ["a", "b", "a"]) await post({ ...body, tags: { team: tag } });
    const first = (await get("/v1/workflows?limit=2")).json<{ workflows: { id: string }[]; cursor: string }>();
    const second = (await get(`/v1/workflows?limit=2&cursor=${first.cursor}`)).json<typeof first>();
    expect([...first.workflows, ...second.workflows].map(({ id }) => Number(id.slice(-1)))).toEqual([2, 1, 0]);
    expect(second.cursor).toBeUndefined();
    const tagged = (await get("/v1/workflows?tag=team:a&status=queued")).json<typeof first>();
    expect(tagged.workflows).toHaveLength(2);
    expect((await get("/v1/workflows", keys.other)).json()).toEqual({ workflows: [] });
  });

  it("gives a task only when it is settled", async () => {
    const id = await submitted(api);
    api.store.addTask(id, { ...task, status: "running" }, false);
    const early = await get(`/v1/workflows/${id}/tasks/a`);
    expect([early.statusCode, early.json()]).toMatchObject([409, { code: "not-finished" }]);
    api.store.addTask(id, { ...task, status: "completed", output: "ok" }, true);
    expect((await get(`/v1/workflows/${id}/tasks/a`)).json()).toMatchObject({ status: "completed", output: "ok" });
  });

  it("pages through the events, with `next` while more may be there", async () => {
    const id = await submitted(api);
    api.store.append(id, { type: "workflow.started", data: {} });
    api.store.end(id);
    const first = (await get(`/v1/workflows/${id}/events?limit=2`)).json<{ events: object[]; next?: number }>();
    expect(first.next).toBe(2);
    expect(first.events[1]).toEqual({ seq: 2, type: "workflow.started", at: "2026-01-01T00:00:00.001Z", data: {} });
    const last = (await get(`/v1/workflows/${id}/events?after=2&limit=1`)).json<typeof first>();
    expect([last.events.length, last.next]).toEqual([1, undefined]);
  });

  it("lists the agent types", async () => {
    const { agents } = (await get("/v1/agents")).json<{ agents: { type: string }[] }>();
    expect(agents.map(({ type }) => type)).toEqual(["probe", "research"]);
  });
});

describe("cancel", () => {
  it.each([
    ["without a body", {}, ""],
    ["with an empty body of type JSON", { "content-type": "application/json" }, ""],
    ["with a reason", { "content-type": "application/json" }, '{"reason":"why","compensate":false}'],
  ])("answers 202 and the status %s", async (_, headers, payload) => {
    const id = await submitted(api);
    const url = `/v1/workflows/${id}/cancel`;
    const answer = await api.app.inject({ method: "POST", url, headers: as(keys.acme, headers), payload });
    expect([answer.statusCode, answer.json()]).toMatchObject([202, { id, status: "queued" }]);
  });
});

describe("artifacts", () => {
  const content = Buffer.from("# Report\n".repeat(50_000));

  async function withArtifact(name: string, contentType: string): Promise<string> {
    const id = await submitted(api);
    const digest = sha256(content);
    api.blobs.set(digest, content);
    api.store.addArtifact(id, { name, contentType, bytes: content.length, sha256: digest, taskId: "write" });
    return id;
  }

  it("are listed and streamed whole, as attachments that no browser runs", async () => {
    const id = await withArtifact("report.md", "text/markdown; charset=utf-8");
    const { artifacts } = (await get(`/v1/workflows/${id}/artifacts`)).json<{ artifacts: unknown[] }>();
    expect(artifacts).toMatchObject([{ name: "report.md", taskId: "write" }]);
    const answer = await get(`/v1/workflows/${id}/artifacts/report.md`);
    expect(answer.rawPayload.equals(content)).toBe(true);
    expect(answer.headers).toMatchObject({
      "content-type": "text/markdown; charset=utf-8",
      "content-length": String(content.length),
      "x-content-type-options": "nosniff",
      "content-disposition": "attachment; filename=\"report.md\"; filename*=UTF-8''report.md",
    });
  });

  it("cannot smuggle headers or paths in by their name or type", async () => {
    const name = '../"é\r\nx';
    const id = await withArtifact(name, "text/html\r\nx-evil: 1");
    const answer = await get(`/v1/workflows/${id}/artifacts/${encodeURIComponent(name)}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/octet-stream");
    expect(answer.headers["x-evil"]).toBeUndefined();
    expect(answer.headers["content-disposition"]).toBe(
      "attachment; filename=\".._____x\"; filename*=UTF-8''..%2F%22%C3%A9%0D%0Ax",
    );
  });

  it("answer HEAD with their length", async () => {
    const id = await withArtifact("report.md", "text/markdown");
    const url = `/v1/workflows/${id}/artifacts/report.md`;
    const answer = await api.app.inject({ method: "HEAD", url, headers: as(keys.acme) });
    expect([answer.statusCode, answer.headers["content-length"]]).toEqual([200, String(content.length)]);
  });

  it("are not found when their content is gone", async () => {
    const id = await withArtifact("report.md", "text/markdown");
    api.blobs.clear();
    expect((await get(`/v1/workflows/${id}/artifacts/report.md`)).statusCode).toBe(404);
  });
});
