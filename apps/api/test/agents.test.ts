import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { as, keys, type TestApi, testApi } from "./api.ts";

let api: TestApi;
beforeEach(() => (api = testApi()));
afterEach(() => api.app.close());

const say = (url: string, key: string, payload?: object) =>
  api.app.inject({ method: "POST", url, headers: as(key), ...(payload && { payload }) });

describe("pausing an agent type", () => {
  it("is for operators, and shows with the type until it is resumed", async () => {
    const paused = await say("/v1/agents/probe/pause", keys.operator);
    expect([paused.statusCode, paused.json()]).toMatchObject([200, { type: "probe", paused: true }]);
    const list = await api.app.inject({ url: "/v1/agents", headers: as(keys.acme) });
    expect(list.json()).toMatchObject({ agents: [{ type: "probe", paused: true }, { paused: false }] });
    const resumed = await say("/v1/agents/probe/resume", keys.operator, {});
    expect([resumed.statusCode, resumed.json()]).toMatchObject([200, { type: "probe", paused: false }]);
    expect(api.store.orders).toEqual([
      { word: "pause", agentType: "probe", by: "00000003" },
      { word: "resume", agentType: "probe", by: "00000003" },
    ]);
  });

  it.each([
    ["/v1/agents/probe/pause", keys.acme, undefined, 403, "forbidden"],
    ["/v1/agents/probe/resume", keys.acme, undefined, 403, "forbidden"],
    ["/v1/agents/probe/pause", "guess", undefined, 401, "unauthenticated"],
    ["/v1/agents/nobody/pause", keys.operator, undefined, 404, "not-found"],
    ["/v1/agents/Not%20One/pause", keys.operator, undefined, 404, "not-found"],
    ["/v1/agents/probe/pause", keys.operator, { forMs: 1 }, 400, "invalid-body"],
    ["/v1/agents/probe/stop", keys.operator, undefined, 404, "not-found"],
  ])("%s with %s and %j is %i", async (url, key, payload, status, code) => {
    const answer = await say(url, key, payload);
    expect([answer.statusCode, answer.json()]).toMatchObject([status, { code }]);
    expect(api.store.orders).toEqual([]);
  });
});
