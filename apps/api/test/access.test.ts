import { afterEach, describe, expect, it, vi } from "vitest";
import { KeyCache } from "../src/key-cache.ts";
import { as, keys, submitted, type TestApi, testApi } from "./api.ts";

let api: TestApi;
afterEach(() => api.app.close());

describe("keys", () => {
  it("are looked up once for concurrent and later requests", async () => {
    api = testApi();
    const list = () => api.app.inject({ url: "/v1/workflows", headers: as(keys.acme) });
    await Promise.all([list(), list(), list()]);
    await list();
    expect(api.lookups).toEqual([keys.acme]);
  });

  it("that are unknown are remembered too, apart from the known ones", async () => {
    api = testApi();
    for (let i = 0; i < 3; i++) {
      await api.app.inject({ url: "/v1/workflows", headers: as("guess") });
      await api.app.inject({ url: "/v1/workflows", headers: as(keys.acme) });
    }
    expect(api.lookups).toEqual(["guess", keys.acme]);
  });

  it("never stand in the log, nor do bodies", async () => {
    api = testApi();
    await submitted(api);
    await api.app.inject({ url: "/v1/workflows", headers: as("secret-guess") });
    api.store.goAway();
    await api.app.inject({ url: "/v1/workflows", headers: as(keys.acme, { "x-secret": "secret-header" }) });
    expect(api.logged()).toContain("answered");
    expect(api.logged()).not.toMatch(/secret-guess|secret-header|key-of-acme|"input"/);
  });

  it("that are revoked are refused within 5 s", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    api = testApi();
    try {
      const records = [{ id: "1", tenant: "acme", role: "user" as const, createdAt: 0 }, undefined];
      const cache = new KeyCache({ find: async () => records.shift() });
      expect(await cache.find("k")).toBeDefined();
      vi.advanceTimersByTime(3999);
      expect(await cache.find("k")).toBeDefined();
      vi.advanceTimersByTime(1);
      expect(await cache.find("k")).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a rate limit", () => {
  it("answers 429 with Retry-After beyond it, for each tenant by itself", async () => {
    api = testApi({ requestsPerMinute: 2 });
    const list = (key: string) => api.app.inject({ url: "/v1/workflows", headers: as(key) });
    expect([(await list(keys.acme)).statusCode, (await list(keys.operator)).statusCode]).toEqual([200, 200]);
    const refused = await list(keys.acme);
    expect([refused.statusCode, refused.json()]).toMatchObject([429, { code: "rate-limited" }]);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect((await list(keys.other)).statusCode).toBe(200);
    expect((await api.app.inject("/health")).statusCode).toBe(200);
  });

  it("is off unless configured", async () => {
    api = testApi();
    for (let i = 0; i < 200; i++) {
      expect((await api.app.inject({ url: "/v1/agents", headers: as(keys.acme) })).statusCode).toBe(200);
    }
  });
});

describe("with the store away", () => {
  it("every call answers 503 with Retry-After and names nothing of the inside", async () => {
    api = testApi();
    const id = await submitted(api);
    api.store.goAway();
    const calls = ["", "?limit=1", `/${id}`, `/${id}/events`, `/${id}/artifacts`, `/${id}/tasks/a`];
    for (const call of calls) {
      const answer = await api.app.inject({ url: `/v1/workflows${call}`, headers: as(keys.acme) });
      expect([answer.statusCode, answer.json(), answer.headers["retry-after"]]).toMatchObject([
        503,
        { code: "store-unavailable" },
        "1",
      ]);
      expect(answer.body).not.toMatch(/wf:|ECONN|\{s|\bat /);
    }
  });

  it("a submit answers 503 also when key and agents are still remembered", async () => {
    api = testApi();
    await submitted(api);
    api.store.goAway();
    const payload = { input: "x", agent: "research" };
    const answer = await api.app.inject({ method: "POST", url: "/v1/workflows", headers: as(keys.acme), payload });
    expect([answer.statusCode, api.store.submitted.length]).toEqual([503, 1]);
  });

  it("a write that nobody knows the end of is 503 unknown-outcome, and is found when it is said again with its key", async () => {
    api = testApi();
    const id = await submitted(api);
    api.store.losesAnswers = true;
    const headers = { ...as(keys.acme), "idempotency-key": "k" };
    const submit = {
      method: "POST",
      url: "/v1/workflows",
      headers,
      payload: { input: "x", agent: "research" },
    } as const;
    const cancel = { method: "POST", url: `/v1/workflows/${id}/cancel`, headers: as(keys.acme) } as const;
    for (const call of [submit, cancel]) {
      const answer = await api.app.inject(call);
      expect([answer.statusCode, answer.json(), answer.headers["retry-after"]]).toMatchObject([
        503,
        { code: "unknown-outcome" },
        "1",
      ]);
      expect(answer.body).not.toMatch(/wf:|\{s|\bat /);
    }
    api.store.losesAnswers = false;
    expect((await api.app.inject(submit)).statusCode).toBe(202);
    expect(api.store.submitted).toHaveLength(2);
  });

  it("the process is healthy and not ready", async () => {
    api = testApi();
    expect((await api.app.inject("/ready")).json()).toEqual({ ok: true, checks: { redis: { ok: true } } });
    api.store.goAway();
    const ready = await api.app.inject("/ready");
    expect([ready.statusCode, ready.json(), ready.body.includes("wf:")]).toMatchObject([
      503,
      { code: "store-unavailable" },
      false,
    ]);
    expect((await api.app.inject("/health")).json()).toEqual({ ok: true, checks: {} });
  });

  it("a store that does not answer at all is not ready within a second and a half", async () => {
    api = testApi();
    api.store.ping = () => new Promise<void>(() => undefined);
    const started = performance.now();
    expect((await api.app.inject("/ready")).statusCode).toBe(503);
    // The rest is for a machine that is busy.
    expect(performance.now() - started).toBeLessThan(2500);
  });
});

describe("an error that nobody foresaw", () => {
  it("answers 500 without a word of it, and logs it", async () => {
    api = testApi();
    api.store.list = () => Promise.reject(new Error("WRONGTYPE {s0a}:list:acme"));
    const answer = await api.app.inject({ url: "/v1/workflows", headers: as(keys.acme) });
    expect([answer.statusCode, answer.json()]).toMatchObject([500, { code: "internal-error" }]);
    expect(answer.body).not.toMatch(/WRONGTYPE|s0a/);
    expect(api.logged()).toContain("WRONGTYPE");
  });
});
