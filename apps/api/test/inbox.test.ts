import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { as, keys, submitted, type TestApi, testApi } from "./api.ts";

let api: TestApi;
beforeEach(() => {
  api = testApi();
});
afterEach(() => api.app.close());

const wf = "wf_00_00000000000000000000000000";
const settle = (item: string, payload: object, key = keys.acme) =>
  api.app.inject({ method: "POST", url: `/v1/inbox/${item}`, headers: as(key), payload });
const list = (query = "", key = keys.acme) => api.app.inject({ url: `/v1/inbox${query}`, headers: as(key) });

describe("GET /v1/inbox", () => {
  it("pages through the items of the caller, newest first, and nobody else's", async () => {
    const id = await submitted(api);
    const ids = [1, 2, 3].map(() => api.inbox.open("acme", id));
    api.inbox.open("other", id);
    const first = await list("?limit=2");
    expect(first.json()).toMatchObject({ items: [{ id: ids[2] }, { id: ids[1] }], cursor: "p2" });
    expect((await list("?limit=2&cursor=p2")).json()).toMatchObject({ items: [{ id: ids[0] }] });
  });

  it("selects by kind and by workflow", async () => {
    const [one, two] = [await submitted(api), await submitted(api)];
    const doubt = api.inbox.open("acme", one);
    const poison = api.inbox.open("acme", two, "quarantine");
    expect((await list("?kind=quarantine")).json()).toMatchObject({ items: [{ id: poison }] });
    expect((await list(`?workflowId=${one}`)).json()).toMatchObject({ items: [{ id: doubt }] });
  });

  it.each([
    ["?kind=approvals", "invalid-body"],
    ["?workflowId=x", "invalid-body"],
    ["?limit=0", "invalid-body"],
    ["?until=now", "invalid-body"],
    ["?cursor=x", "invalid-cursor"],
  ])("refuses %s", async (query, code) => {
    expect((await list(query)).json()).toMatchObject({ status: 400, code });
  });
});

describe("POST /v1/inbox/:item", () => {
  it("settles with decision, reason and result, and says by whose key", async () => {
    const item = api.inbox.open("acme", await submitted(api));
    const verdict = { decision: "happened", reason: "seen", result: { n: 1 } };
    const answer = await settle(item, verdict);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ id: item, kind: "outcome-unknown", taskId: "a", decision: "happened" });
    expect(api.inbox.kept[0]?.verdict).toEqual({ ...verdict, by: "00000001" });
    expect((await settle(item, verdict)).json()).toMatchObject({ status: 409, code: "already-settled" });
  });

  it("knows nothing of another tenant's item, nor of what is no item", async () => {
    const id = await submitted(api);
    const item = api.inbox.open("acme", id);
    expect((await settle(item, { decision: "fail" }, keys.other)).statusCode).toBe(404);
    for (const name of [`${id}.77`, `${id}.0`, `${id}.01`, `${id}.`, id, "x", `${id}.1.1`]) {
      expect((await settle(name, { decision: "fail" })).statusCode, name).toBe(404);
    }
    expect(api.inbox.kept[0]?.verdict).toBeUndefined();
  });

  it("says all that is wrong with an edit, and leaves the item open", async () => {
    const item = api.inbox.open("acme", await submitted(api), "plan");
    const issues = ["/edit/phases/0/name", "/edit/phases/1/name"].map((path) => ({ path, code: "x", message: "y" }));
    api.inbox.issues = issues;
    const refused = await settle(item, { decision: "edit", edit: { phases: [] } });
    expect(refused.json()).toMatchObject({ status: 400, code: "invalid-body", errors: issues });
    api.inbox.issues = [];
    // A plan is no entry of a journal, and may be as large as that of a request.
    const large = { phases: ["x".repeat(100_000)] };
    expect((await settle(item, { decision: "edit", edit: large })).statusCode).toBe(200);
    expect(api.inbox.kept[0]?.verdict).toMatchObject({ decision: "edit", edit: large });
  });

  it.each([
    [{ decision: "retry" }, "/decision"],
    [{ decision: "approve" }, "/decision"],
    [{ decision: "agree" }, "/decision"],
    [{ decision: "edit" }, "/edit"],
    [{ decision: "happened", edit: {} }, "/edit"],
    [{}, "/decision"],
    [{ decision: "fail", result: 1 }, "/result"],
    [{ decision: "happened", result: "x".repeat(33_000) }, "/result"],
    [{ decision: "fail", reason: "x".repeat(1001) }, "/reason"],
    [{ decision: "fail", why: "so" }, "/why"],
  ])("refuses %j at %s", async (payload, path) => {
    const item = api.inbox.open("acme", await submitted(api));
    expect((await settle(item, payload)).json()).toMatchObject({
      status: 400,
      code: "invalid-body",
      errors: [{ path }],
    });
    expect(api.inbox.kept[0]?.verdict).toBeUndefined();
  });

  it("takes an edit of what is to be approved, null too, and of nothing else", async () => {
    const [one, two] = [1, 2].map(() => api.inbox.open("acme", wf, "approval"));
    for (const [item = "", edit] of [[one, { amount: 3 }] as const, [two, null] as const]) {
      expect((await settle(item, { decision: "edit", edit })).statusCode).toBe(200);
    }
    expect(api.inbox.kept.map(({ verdict }) => verdict?.edit)).toEqual([{ amount: 3 }, null]);
  });

  it("is 503 while the store is away", async () => {
    const item = api.inbox.open("acme", await submitted(api));
    api.store.goAway();
    expect((await settle(item, { decision: "fail" })).statusCode).toBe(503);
  });
});
