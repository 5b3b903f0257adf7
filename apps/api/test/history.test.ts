import { SubmitView } from "@flotilla/workflow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { as, keys, submitted, type TestApi, testApi } from "./api.ts";

let api: TestApi;
let id: string;

beforeEach(async () => {
  api = testApi();
  id = await submitted(api);
});
afterEach(() => api.app.close());

const post = (path: string, payload?: object, headers: Record<string, string> = {}) =>
  api.app.inject({
    method: "POST",
    url: `/v1/workflows/${path}`,
    headers: as(keys.acme, headers),
    ...(payload && { payload }),
  });

describe("retry", () => {
  it.each(["failed", "aborted"] as const)(
    "of a workflow that is %s answers 202 with the current status",
    async (end) => {
      api.store.setStatus(id, end);
      const answer = await post(`${id}/retry`);
      expect(answer.statusCode).toBe(202);
      expect(SubmitView.parse(answer.json())).toMatchObject({ id, status: "running" });
    },
  );

  it.each(["queued", "running", "completed", "cancelled"] as const)("of one that is %s is 409", async (status) => {
    api.store.setStatus(id, status);
    const answer = await post(`${id}/retry`, {});
    expect([answer.statusCode, answer.json()]).toMatchObject([
      409,
      { code: "not-retryable", detail: expect.stringContaining(status) },
    ]);
  });

  it("repeated under its key is 202 again and no second retry; without a key it is 409", async () => {
    api.store.setStatus(id, "failed");
    const headers = { "idempotency-key": "once" };
    const answers = [await post(`${id}/retry`, {}, headers), await post(`${id}/retry`, {}, headers)];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 202]);
    expect((await post(`${id}/retry`, {})).statusCode).toBe(409);
  });
});

describe("fork", () => {
  it("answers 202 with the new workflow and where it is", async () => {
    const answer = await post(`${id}/fork`, { fromSeq: 1, input: "other" });
    const view = SubmitView.parse(answer.json());
    expect(answer.statusCode).toBe(202);
    expect(view.id).not.toBe(id);
    expect(answer.headers.location).toBe(`/v1/workflows/${view.id}`);
    expect(view.links.self).toBe(`/v1/workflows/${view.id}`);
    expect(api.store.submitted.map(({ request }) => request.input)).toEqual(["x", "other"]);
  });

  it("takes the input of the source where none is given", async () => {
    await post(`${id}/fork`, { fromSeq: 1 });
    expect(api.store.submitted.map(({ request }) => request.input)).toEqual(["x", "x"]);
  });

  it("under one key is one workflow, and 409 with another body", async () => {
    const headers = { "idempotency-key": "once" };
    const first = await post(`${id}/fork`, { fromSeq: 1, input: { a: 1, b: 2 } }, headers);
    const second = await post(`${id}/fork`, { input: { b: 2, a: 1 }, fromSeq: 1 }, headers);
    expect(second.json()).toEqual(first.json());
    const other = await post(`${id}/fork`, { fromSeq: 1 }, headers);
    expect([other.statusCode, other.json()]).toMatchObject([409, { code: "idempotency-conflict" }]);
  });

  it("from a place that is none names the largest that is one", async () => {
    api.store.append(id, { type: "workflow.started", data: {} });
    api.store.end(id);
    for (const fromSeq of [3, 4]) {
      const answer = await post(`${id}/fork`, { fromSeq });
      const error = {
        path: "/fromSeq",
        code: "not-forkable",
        message: expect.stringContaining("largest allowed is 2"),
      };
      expect([answer.statusCode, answer.json()]).toMatchObject([400, { code: "invalid-body", errors: [error] }]);
    }
  });

  it("refuses a new input as a submit would", async () => {
    const { json } = await api.app.inject({
      method: "POST",
      url: "/v1/workflows",
      headers: as(keys.acme),
      payload: { input: {}, agent: "probe" },
    });
    const { id: probe } = json<{ id: string }>();
    const answer = await post(`${probe}/fork`, { fromSeq: 1, input: { sleepMs: -1 } });
    expect([answer.statusCode, answer.json()]).toMatchObject([400, { errors: [{ path: "/input/sleepMs" }] }]);
  });
});
