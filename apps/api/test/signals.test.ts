import { afterEach, beforeEach, expect, it } from "vitest";
import { as, keys, submitted, type TestApi, testApi } from "./api.ts";

let api: TestApi;
beforeEach(() => {
  api = testApi();
});
afterEach(() => api.app.close());

const send = (id: string, payload: object, headers: Record<string, string> = as(keys.acme)) =>
  api.app.inject({ method: "POST", url: `/v1/workflows/${id}/signals`, headers, payload });

it("tells a workflow of the caller its name and data, and by whose key", async () => {
  const id = await submitted(api);
  const answer = await send(id, { name: "go", data: { n: 1 } });
  expect(answer.statusCode).toBe(202);
  expect(answer.json()).toMatchObject({ id, status: "queued" });
  expect(api.store.signals).toEqual([{ id, name: "go", data: { n: 1 }, by: "00000001" }]);
});

it("knows nothing of another tenant's workflow", async () => {
  const id = await submitted(api);
  expect((await send(id, { name: "go" }, as(keys.other))).statusCode).toBe(404);
  expect(api.store.signals).toEqual([]);
});

it("is one signal under one key and body, and a conflict with another body", async () => {
  const id = await submitted(api);
  const headers = { ...as(keys.acme), "idempotency-key": "k" };
  for (const _ of [1, 2]) expect((await send(id, { name: "go" }, headers)).statusCode).toBe(202);
  expect((await send(id, { name: "stop" }, headers)).json()).toMatchObject({
    status: 409,
    code: "idempotency-conflict",
  });
  expect(api.store.signals).toHaveLength(1);
});

it.each([
  [{}, "/name"],
  [{ name: "" }, "/name"],
  [{ name: "a#b" }, "/name"],
  [{ name: "go", data: "x".repeat(33_000) }, "/data"],
  [{ name: "go", why: "so" }, "/why"],
])("refuses %j at %s", async (payload, path) => {
  const answer = await send(await submitted(api), payload);
  expect(answer.json()).toMatchObject({ status: 400, code: "invalid-body", errors: [{ path }] });
});
