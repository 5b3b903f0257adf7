import { afterEach, beforeEach, expect, test } from "vitest";
import { as, keys, testApi, type TestApi } from "./api.ts";

let api: TestApi;
beforeEach(() => (api = testApi()));
afterEach(() => api.app.close());

const request = { input: "x", agent: "research" };
const create = (payload: object) =>
  api.app.inject({ method: "POST", url: "/v1/schedules", headers: as(keys.acme), payload });
const call = (method: "GET" | "DELETE", path: string, key = keys.acme) =>
  api.app.inject({ method, url: `/v1/schedules${path}`, headers: as(key) });

test("a schedule is made, listed without its request, read with it and removed, by its tenant alone", async () => {
  const made = await create({ cron: "0 8 * * 1", timeZone: "Europe/Berlin", request });
  const { id } = made.json<{ id: string }>();
  expect([made.statusCode, made.headers["location"]]).toEqual([201, `/v1/schedules/${id}`]);
  const view = { id, cron: "0 8 * * 1", timeZone: "Europe/Berlin", nextAt: expect.any(String) };
  expect((await call("GET", "")).json()).toEqual({ schedules: [{ ...view, createdAt: expect.any(String) }] });
  expect((await call("GET", `/${id}`)).json()).toMatchObject({ ...view, request });
  expect((await call("GET", "", keys.other)).json()).toEqual({ schedules: [] });
  for (const method of ["GET", "DELETE"] as const) {
    expect((await call(method, `/${id}`, keys.other)).statusCode).toBe(404);
  }
  expect((await call("DELETE", `/${id}`)).statusCode).toBe(204);
  expect((await call("DELETE", `/${id}`)).statusCode).toBe(404);
});

test("the time zone is UTC unless said", async () => {
  expect((await create({ cron: "* * * * *", request })).json()).toMatchObject({ timeZone: "UTC" });
});

test.each([
  [{ request }, "/cron"],
  [{ cron: "* * * * *" }, "/request"],
  [{ cron: "* * * * *", request, speed: 9 }, "/speed"],
  [{ cron: "* * * * *", request: { ...request, startAt: "2030-01-01T00:00:00Z" } }, "/request"],
  [{ cron: "* * * * *", request: { input: "x", agent: "nobody" } }, "/agent"],
])("%j is refused at %s", async (payload, path) => {
  const answer = await create(payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json<{ errors: { path: string }[] }>().errors.map((error) => error.path)).toContain(path);
});

test("what the store says of a schedule is told with its code", async () => {
  api.schedules.refusal = { kind: "invalid", issues: [{ path: "/cron", code: "invalid-value", message: "m" }] };
  expect((await create({ cron: "x", request })).json()).toMatchObject({ code: "invalid-body" });
  api.schedules.refusal = { kind: "conflict", id: "sch_1" };
  expect((await create({ cron: "x", request })).json()).toMatchObject({ code: "idempotency-conflict" });
  api.schedules.refusal = { kind: "too-many" };
  expect((await create({ cron: "x", request })).json()).toMatchObject({ errors: [{ code: "too-many" }] });
});
