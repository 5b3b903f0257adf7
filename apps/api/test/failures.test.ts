import type { FailureView } from "@flotilla/workflow";
import { afterEach, expect, test } from "vitest";
import { as, keys, submitted, testApi, type TestApi } from "./api.ts";

let api: TestApi;
afterEach(() => api.app.close());

const ask = (query: string, key = keys.acme) => api.app.inject({ url: `/v1/failures${query}`, headers: as(key) });

test("what failed is listed with its context, and to its tenant alone", async () => {
  api = testApi();
  const id = await submitted(api);
  const failure: FailureView = {
    id,
    status: "failed",
    error: { class: "data", code: "c", message: "m", taskId: "main" },
    task: { id: "main", phase: "main", agent: "research", attempts: 3, input: "x" },
    events: [],
    priority: "normal",
    tags: {},
    createdAt: "2026-01-01T00:00:00.000Z",
    endedAt: "2026-01-01T00:00:00.000Z",
  };
  await submitted(api);
  api.store.failed.set(id, failure);
  const view = await api.store.get("acme", id);
  if (view) view.status = "failed";
  expect((await ask("")).json()).toEqual({ failures: [failure] });
  expect((await ask("?status=aborted")).json()).toEqual({ failures: [] });
  expect((await ask("", keys.other)).json()).toEqual({ failures: [] });
});

test.each([["?status=completed"], ["?limit=51"], ["?limit=0"], ["?since=1"]])("%s is refused", async (query) => {
  api = testApi();
  expect((await ask(query)).statusCode).toBe(400);
});

test("a cursor that no list gave is refused", async () => {
  api = testApi();
  expect((await ask("?cursor=none")).json()).toMatchObject({ code: "invalid-cursor" });
});
