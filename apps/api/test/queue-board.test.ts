import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BoardQueue } from "../src/queue-board.ts";
import { as, keys, type TestApi, testApi } from "./api.ts";

let api: TestApi;
let asked = 0;

beforeEach(() => {
  asked = 0;
  api = testApi({
    async queues(): Promise<BoardQueue[]> {
      asked++;
      return [];
    },
  });
});
afterEach(() => api.app.close());

const basic = (key: string) => ({ authorization: `Basic ${Buffer.from(`me:${key}`).toString("base64")}` });
const board = (headers: Record<string, string>, url = "/queues") => api.app.inject({ url, headers });

describe("/queues", () => {
  it.each(["/queues", "/queues/", "/queues/api/queues", "/queues/static/js/main.js", "/queues/queue/workflows"])(
    "%s needs a key, and one of an operator",
    async (url) => {
      const stranger = await board({}, url);
      expect([stranger.statusCode, stranger.json()]).toMatchObject([401, { code: "unauthenticated" }]);
      expect(stranger.headers["www-authenticate"]).toMatch(/^Basic .*Bearer$/);
      const user = await board(as(keys.acme), url);
      expect([user.statusCode, user.json()]).toMatchObject([403, { code: "forbidden" }]);
      expect(asked).toBe(0);
    },
  );

  it("shows operators the page, by Bearer and by the password of Basic, under a strict policy", async () => {
    for (const headers of [as(keys.operator), basic(keys.operator)]) {
      const page = await board(headers);
      expect([page.statusCode, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
      expect(page.body).toContain('<base href="/queues/" />');
      expect(page.headers["content-security-policy"]).toMatch(/default-src 'none'.*script-src 'self';/);
    }
    expect((await board(basic(keys.acme))).statusCode).toBe(403);
    expect((await board({ authorization: "Basic bWU6" })).statusCode).toBe(401);
  });

  it("serves the page's scripts", async () => {
    const page = await board(as(keys.operator));
    const script = /src="(static\/js\/main[^"]+)"/.exec(page.body)?.[1] ?? "none";
    expect((await board(as(keys.operator), `/queues/${script}`)).statusCode).toBe(200);
  });

  it("changes nothing: every call but a read is 405", async () => {
    const url = "/queues/api/queues/pause";
    const answer = await api.app.inject({ method: "PUT", url, headers: as(keys.operator) });
    expect([answer.statusCode, answer.json(), answer.headers.allow]).toMatchObject([
      405,
      { code: "method-not-allowed" },
      "GET, HEAD",
    ]);
  });

  it("does not take Basic for other calls", async () => {
    expect((await board(basic(keys.operator), "/v1/workflows")).statusCode).toBe(401);
  });

  it("does not exist without queues", async () => {
    const plain = testApi();
    const answer = await plain.app.inject({ url: "/queues", headers: as(keys.operator) });
    expect(answer.statusCode).toBe(404);
    await plain.app.close();
  });
});
