import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { HttpService } from "../src/http-service.ts";
import { as, keys, testApi } from "./api.ts";

async function dial(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => undefined);
  await once(socket, "connect");
  return socket.resume();
}

it("tells where it listens once it does", async () => {
  const service = new HttpService({ app: testApi().app, host: "127.0.0.1", port: 0 });
  expect(() => service.url).toThrow("not listening");
  await service.start();
  expect((await fetch(`${service.url}/v1/agents`, { headers: as(keys.acme) })).status).toBe(200);
  await service.stop();
  await service.stop();
  await expect(fetch(`${service.url}/health`)).rejects.toThrow("fetch failed");
});

it("may be stopped before it was started", async () => {
  await new HttpService({ app: testApi().app, host: "127.0.0.1", port: 0 }).stop();
});

it("stops though a client is silent and another has sent half a request", async () => {
  const service = new HttpService({ app: testApi().app, host: "127.0.0.1", port: 0, drainMs: 200 });
  await service.start();
  const [silent, half] = [await dial(service.url), await dial(service.url)];
  const closed = Promise.all([once(silent, "close"), once(half, "close")]);
  half.write("GET /health HTTP/1.1\r\n");
  const started = performance.now();
  await service.stop();
  await closed;
  expect(performance.now() - started).toBeLessThan(2000);
});

it("waits for no connection that has not carried a request", async () => {
  const service = new HttpService({ app: testApi().app, host: "127.0.0.1", port: 0, drainMs: 20_000 });
  await service.start();
  const unused = await dial(service.url);
  const closed = once(unused, "close");
  const started = performance.now();
  await service.stop();
  await closed;
  expect(performance.now() - started).toBeLessThan(2000);
});
