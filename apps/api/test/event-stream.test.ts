import { once } from "node:events";
import { type ClientRequest, get, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { as, keys, submitted, type TestApi, testApi } from "./api.ts";
import { until } from "./memory-store.ts";

let api: TestApi;
let id: string;
let url: string;

beforeEach(async () => {
  api = testApi({ heartbeatMs: 20 });
  id = await submitted(api);
  const base = await api.app.listen({ host: "127.0.0.1", port: 0 });
  url = `${base}/v1/workflows/${id}/events`;
});
afterEach(() => api.app.close());

interface Stream {
  request: ClientRequest;
  response: IncomingMessage;
  text: () => string;
  ended: Promise<unknown>;
}

async function open(headers: Record<string, string> = {}, query = ""): Promise<Stream> {
  const request = get(url + query, { headers: as(keys.acme, { accept: "text/event-stream", ...headers }) });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const chunks: string[] = [];
  response.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  response.on("error", () => undefined);
  return {
    request,
    response,
    text: () => chunks.join(""),
    ended: new Promise((resolve) => response.once("close", resolve)),
  };
}

const idsIn = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq));
const withoutComments = (text: string) => text.replaceAll(/^:\n\n/gm, "");
const started = { type: "workflow.started", data: {} } as const;

describe("an event stream", () => {
  it("gives what was, then what comes, then `end`, and closes", async () => {
    const stream = await open();
    expect([stream.response.statusCode, stream.response.headers["content-type"]]).toEqual([200, "text/event-stream"]);
    await until(() => idsIn(stream.text()).length === 1);
    api.store.append(id, started);
    await until(() => idsIn(stream.text()).length === 2);
    api.store.end(id);
    await stream.ended;
    const [, second, third, end] = withoutComments(stream.text()).split("\n\n");
    const data = '{"seq":2,"type":"workflow.started","at":"2026-01-01T00:00:00.001Z","data":{}}';
    expect(second).toBe(`id: 2\nevent: workflow.started\ndata: ${data}`);
    expect(third).toMatch(/^id: 3\nevent: workflow.completed\n/);
    expect(end).toBe("event: end\ndata: {}");
  });

  it.each([
    ["Last-Event-ID", { "last-event-id": "2" }, ""],
    ["after", {}, "?after=2"],
    ["Last-Event-ID before after", { "last-event-id": "2" }, "?after=0"],
  ])("goes on after %s", async (_, headers, query) => {
    api.store.append(id, started);
    api.store.end(id);
    const stream = await open(headers, query);
    await stream.ended;
    expect(idsIn(stream.text())).toEqual([3]);
  });

  it("ends at once for a client that has seen the end", async () => {
    api.store.end(id);
    const stream = await open({ "last-event-id": "2" });
    await stream.ended;
    expect(withoutComments(stream.text())).toBe("event: end\ndata: {}\n\n");
  });

  it("dropped and resumed 50 times has neither gap nor double", async () => {
    const seen: number[] = [];
    for (let round = 0; round < 50; round++) {
      api.store.append(id, started);
      api.store.append(id, started);
      const stream = await open({ "last-event-id": String(seen.at(-1) ?? 0) });
      await until(() => idsIn(stream.text()).length > 0);
      stream.request.destroy();
      await stream.ended;
      seen.push(...idsIn(stream.text()));
    }
    api.store.end(id);
    const last = await open({ "last-event-id": String(seen.at(-1)) });
    await last.ended;
    seen.push(...idsIn(last.text()));
    expect(seen).toEqual(Array.from({ length: 102 }, (_, index) => index + 1));
  });

  it("says in a comment that it lives", async () => {
    const stream = await open({ "last-event-id": "1" });
    await until(() => stream.text().startsWith(":\n\n:\n\n"));
    stream.request.destroy();
  });

  it("stops following when the client goes", async () => {
    const stream = await open();
    await until(() => api.store.following === 1);
    stream.request.destroy();
    await until(() => api.store.following === 0);
  });

  it("waits for a client that does not read, and loses nothing for it", async () => {
    const request = get(url, { headers: as(keys.acme, { accept: "text/event-stream" }) });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.pause();
    const message = "x".repeat(100_000);
    for (let i = 0; i < 200; i++)
      api.store.append(id, { type: "task.progressed", taskId: "a", attempt: 1, data: { message } });
    api.store.end(id);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    expect(idsIn(text)).toEqual(Array.from({ length: 202 }, (_, index) => index + 1));
    expect(text.endsWith("event: end\ndata: {}\n\n")).toBe(true);
  });

  it("breaks off without `end` when the store goes away, so that the client comes back", async () => {
    const stream = await open();
    await until(() => idsIn(stream.text()).length === 1);
    api.store.goAway();
    await stream.ended;
    expect(stream.text()).not.toContain("event: end");
  });

  it("breaks off without `end` when the process stops, and does not hold it up", async () => {
    const stream = await open();
    await until(() => idsIn(stream.text()).length === 1);
    await api.app.close();
    await stream.ended;
    expect(stream.text()).not.toContain("event: end");
    expect(api.store.following).toBe(0);
  });
});
