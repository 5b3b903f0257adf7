import { afterEach, describe, expect, test } from "vitest";
import { createClient, ProblemError, UnreachableError } from "../src/index.ts";
import { type Answer, json, startFakeApi } from "./fake-api.ts";

const id = "wf_07_0123456789abcdefghijklmnop";
const submitted = { id, status: "queued", links: { self: "/s", events: "/e", cancel: "/c" } };
const view = {
  id,
  status: "completed",
  input: "q",
  plan: null,
  phase: null,
  tasks: [],
  handoffs: [],
  result: { a: 1 },
  compensation: "none",
  cost: { usd: 0, tokens: { input: 0, output: 0 } },
  priority: "normal",
  tags: {},
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-01T00:00:00.000Z",
};

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function setUp(answer: Answer, options: { retryMs?: number; timeoutMs?: number } = {}) {
  const api = await startFakeApi(answer);
  close = api.close;
  return { api, client: createClient({ url: api.url, apiKey: "k", ...options }) };
}

describe("submit", () => {
  test("sends the key, the body and an idempotency key of its own", async () => {
    const { api, client } = await setUp((response) => json(response, 202, submitted));
    await expect(client.submit({ input: "q" })).resolves.toEqual(submitted);
    await client.submit({ input: "q" });
    const [first, second] = api.received;
    expect(first).toMatchObject({ method: "POST", url: "/v1/workflows", body: { input: "q" } });
    expect(first?.headers).toMatchObject({ authorization: "Bearer k", "content-type": "application/json" });
    expect(first?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(second?.headers["idempotency-key"]).not.toBe(first?.headers["idempotency-key"]);
  });

  test("is repeated under the same key after a 503 and after a connection that broke", async () => {
    let calls = 0;
    const { api, client } = await setUp((response) => {
      calls += 1;
      if (calls === 1) json(response, 503, { code: "store-unavailable" }, { "retry-after": "0" });
      else if (calls === 2) response.destroy();
      else json(response, 202, submitted);
    });
    await expect(client.submit({ input: "q" }, { idempotencyKey: "mine" })).resolves.toEqual(submitted);
    expect(api.received.map((call) => call.headers["idempotency-key"])).toEqual(["mine", "mine", "mine"]);
  });

  test("is repeated when the answer breaks off in its body", async () => {
    let calls = 0;
    const { api, client } = await setUp((response) => {
      calls += 1;
      if (calls > 1) return json(response, 202, submitted);
      response.writeHead(202, { "content-length": "100" });
      response.write("{", () => response.destroy());
    });
    await expect(client.submit({ input: "q" })).resolves.toEqual(submitted);
    expect(api.received).toHaveLength(2);
  });

  test("gives up at once when Retry-After is beyond its patience", async () => {
    const { api, client } = await setUp((response) =>
      json(response, 503, { code: "store-unavailable", detail: "redis is away" }, { "retry-after": "60" }),
    );
    await expect(client.submit({ input: "q" })).rejects.toMatchObject({ status: 503, code: "store-unavailable" });
    expect(api.received).toHaveLength(1);
  });

  test("is not repeated when the service refuses it, and every problem is named", async () => {
    const errors = [{ path: "/input", code: "invalid_type", message: "is required" }];
    const { api, client } = await setUp((response) =>
      json(response, 400, { code: "invalid-body", title: "bad", detail: "the body is not valid", errors }),
    );
    const refusal = await client.submit({ input: "q" }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ProblemError);
    expect(refusal).toMatchObject({ status: 400, code: "invalid-body", detail: "the body is not valid", errors });
    expect(api.received).toHaveLength(1);
  });
});

describe("calls", () => {
  test("nobody at the URL is an UnreachableError with its cause", async () => {
    const { api } = await setUp((response) => json(response, 200, {}));
    await api.close();
    const refusal = await createClient({ url: api.url, retryMs: 150 })
      .get(id)
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UnreachableError);
    expect(refusal).toHaveProperty("cause");
  });

  test("a service that never answers is an UnreachableError", async () => {
    const { client } = await setUp(() => {}, { retryMs: 0, timeoutMs: 50 });
    await expect(client.get(id)).rejects.toBeInstanceOf(UnreachableError);
  });

  test("an abort rejects with its own reason and is not repeated", async () => {
    const stop = new AbortController();
    const { api, client } = await setUp(() => stop.abort(new Error("enough")));
    await expect(client.get(id, { signal: stop.signal })).rejects.toThrow("enough");
    expect(api.received).toHaveLength(1);
  });

  test("a success of another shape is refused as unexpected", async () => {
    const { client } = await setUp((response) => response.end("<html>"));
    await expect(client.get(id)).rejects.toMatchObject({ code: "unexpected-answer" });
  });

  test("a refusal that is no problem+json keeps its status", async () => {
    const { client } = await setUp((response) => response.writeHead(418).end("<html>"));
    await expect(client.get(id)).rejects.toMatchObject({ status: 418, code: "http-418" });
  });

  test("list turns its options into a query", async () => {
    const { api, client } = await setUp((response) => json(response, 200, { workflows: [], cursor: "n" }));
    const page = await client.list({ status: "failed", tag: { key: "a", value: "b/c" }, limit: 2, cursor: "x" });
    expect(page.cursor).toBe("n");
    expect(api.received[0]?.url).toBe("/v1/workflows?status=failed&tag=a%3Ab%2Fc&limit=2&cursor=x");
  });

  test("retry and fork are repeated under one key of their own, which a caller may give", async () => {
    let calls = 0;
    const { api, client } = await setUp((response) => {
      calls += 1;
      if (calls % 2 === 1) response.destroy();
      else json(response, 202, submitted);
    });
    await expect(client.retry(id)).resolves.toEqual(submitted);
    await expect(client.fork(id, { fromSeq: 7, input: "q" })).resolves.toEqual(submitted);
    await client.retry(id, { idempotencyKey: "mine" });
    await client.fork(id, { fromSeq: 7 }, { idempotencyKey: "mine" });
    expect(api.received.map(({ method, url, body }) => [method, url, body])).toEqual(
      [
        ["POST", `/v1/workflows/${id}/retry`, {}],
        ["POST", `/v1/workflows/${id}/fork`, { fromSeq: 7, input: "q" }],
        ["POST", `/v1/workflows/${id}/retry`, {}],
        ["POST", `/v1/workflows/${id}/fork`, { fromSeq: 7 }],
      ].flatMap((call) => [call, call]),
    );
    const sent = api.received.map(({ headers }) => headers["idempotency-key"]);
    expect(sent[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(sent[1]).toBe(sent[0]);
    expect(sent[3]).toBe(sent[2]);
    expect(sent[2]).not.toBe(sent[0]);
    expect(sent.slice(4)).toEqual(["mine", "mine", "mine", "mine"]);
  });

  test("wait goes on when a retry has come between the end and the answer", async () => {
    const statuses = ["running", "completed"];
    const event = (seq: number) => JSON.stringify({ seq, type: "x", at: view.createdAt, data: {} });
    const { api, client } = await setUp((response, { url, headers }) => {
      if (!url.endsWith("/events")) return json(response, 200, { ...view, status: statuses.shift() });
      const seq = Number(headers["last-event-id"]) + 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`id: ${seq}\nevent: x\ndata: ${event(seq)}\n\nevent: end\ndata: {}\n\n`);
    });
    await expect(client.wait(id)).resolves.toMatchObject({ status: "completed" });
    expect(api.received.map(({ headers }) => headers["last-event-id"])).toEqual(["0", undefined, "1", undefined]);
  });

  test("wait with pollMs asks until the workflow has ended", async () => {
    const answers = ["queued", "running", "completed"];
    const { api, client } = await setUp((response) => json(response, 200, { ...view, status: answers.shift() }));
    await expect(client.wait(id, { pollMs: 1 })).resolves.toMatchObject({ status: "completed", result: { a: 1 } });
    expect(api.received).toHaveLength(3);
  });

  test("an artifact comes back byte for byte", async () => {
    const bytes = Uint8Array.from([0, 255, 10, 13]);
    const { api, client } = await setUp((response) => response.end(bytes));
    await expect(client.artifact(id, "a b.bin")).resolves.toEqual(bytes);
    expect(api.received[0]?.url).toBe(`/v1/workflows/${id}/artifacts/a%20b.bin`);
  });
});
