import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { as, keys, type TestApi, testApi } from "./api.ts";

let api: TestApi;
let url: string;
let agent: Agent;

async function listen(overrides: Parameters<typeof testApi>[0] = {}): Promise<void> {
  agent = new Agent({ keepAlive: true });
  api = testApi(overrides);
  url = await api.app.listen({ host: "127.0.0.1", port: 0 });
}
beforeEach(() => listen());
afterEach(async () => {
  agent.destroy();
  await api.app.close();
});

const head = (more: string) =>
  `POST /v1/workflows HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.acme}\r\ncontent-type: application/json\r\n${more}\r\n\r\n`;

/** Sends what it is given, a byte each 50 ms after the head, and gives all that came back. */
async function slowly(first: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(first);
  const stop = new AbortController();
  const drip = dripInto(socket, stop.signal);
  let answer = "";
  for await (const chunk of socket.setEncoding("utf8")) answer += chunk;
  stop.abort();
  await drip;
  return answer;
}

async function dripInto(socket: Socket, signal: AbortSignal): Promise<void> {
  socket.on("error", () => undefined);
  try {
    for (;;) {
      await sleep(50, undefined, { signal });
      if (socket.writable) socket.write(" ");
    }
  } catch {
    socket.destroy();
  }
}

/** Sends a body in chunks, whether or not anybody reads it, and gives the answer. */
async function upload(
  chunks: number,
  headers: Record<string, string> = {},
): Promise<{ status?: number; code: string }> {
  const outgoing = httpRequest(`${url}/v1/workflows`, {
    agent,
    method: "POST",
    headers: as(keys.acme, { "content-type": "application/json", ...headers }),
  });
  outgoing.on("error", () => undefined);
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  outgoing.write('{"input":"');
  for (let i = 0; i < chunks; i++) outgoing.write("x".repeat(64 * 1024));
  outgoing.end('"}');
  const [response] = await answered;
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  const { code } = JSON.parse(text) as { code: string };
  return { ...(response.statusCode !== undefined && { status: response.statusCode }), code };
}

describe("a request that does not arrive", () => {
  it("is cut with 408, slow in its body or in its head, and others go on meanwhile", async () => {
    await api.app.close();
    await listen({ requestTimeoutMs: 300 });
    const slow = [
      ...Array.from({ length: 50 }, () => slowly(`${head("content-length: 100000")}{`)),
      ...Array.from({ length: 50 }, () => slowly("POST /v1/workflows HTTP/1.1\r\nhost: x\r\nx-slow: ")),
    ];
    const other = await fetch(`${url}/v1/agents`, { headers: as(keys.acme) });
    expect(other.status).toBe(200);
    for (const answer of await Promise.all(slow)) {
      expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
      expect(answer).toContain('"code":"request-timeout"');
    }
    expect(api.store.submitted).toEqual([]);
  });
});

describe("a body that is too large", () => {
  it("is refused in chunks without a length, and the client that still sends reads the answer", async () => {
    expect(await upload(200)).toEqual({ status: 413, code: "too-large" });
  });

  it("is refused by its length, and the client that still sends reads the answer", async () => {
    const length = String(12 + 200 * 64 * 1024);
    expect(await upload(200, { "content-length": length })).toEqual({ status: 413, code: "too-large" });
  });

  it("is no reason to refuse a body in chunks that is not", async () => {
    expect(await upload(2)).toMatchObject({ status: 400, code: "invalid-body" });
  });
});

describe("bytes that are not HTTP", () => {
  it.each([
    ["an unknown start", "hello\r\n\r\n", 400, "bad-request"],
    [
      "headers above 16 KiB",
      `GET /health HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(20_000)}\r\n\r\n`,
      431,
      "headers-too-large",
    ],
    ["two lengths", head("content-length: 2\r\ncontent-length: 3"), 400, "bad-request"],
  ])("%s is answered with a problem", async (_, bytes, status, code) => {
    const answer = await slowly(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain(`"code":"${code}"`);
  });
});

describe("a connection", () => {
  it("stays open after a bad request", async () => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let answers = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (answers += chunk));
    socket.write(`${head("content-length: 2")}{]`);
    socket.write(`GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    await once(socket, "close");
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 400", "HTTP/1.1 200"]);
  });
});
