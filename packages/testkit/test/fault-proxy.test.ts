import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { faultProxy, type FaultProxy, until } from "../src/index.ts";

let echo: Server;
let proxy: FaultProxy;
let heard: string;
const clients: Socket[] = [];

beforeEach(async () => {
  heard = "";
  echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (piece) => {
      heard += piece.toString();
      socket.write(piece);
    });
  }).listen(0, "127.0.0.1");
  await once(echo, "listening");
  const address = echo.address();
  proxy = await faultProxy(address !== null && typeof address === "object" ? address.port : 0);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.stop();
  echo.close();
});

function client() {
  const socket = connect(proxy.port, "127.0.0.1");
  clients.push(socket);
  const seen = { text: "", error: "" };
  socket.on("data", (piece) => (seen.text += piece.toString()));
  socket.on("error", (error) => (seen.error = "code" in error ? String(error.code) : error.message));
  return { socket, seen };
}

test("pass carries both directions", async () => {
  const { socket, seen } = client();
  socket.write("hello");
  await until(() => seen.text === "hello");
});

test("cut resets open connections and new ones", async () => {
  const open = client();
  open.socket.write("x");
  await until(() => open.seen.text === "x");
  proxy.set({ kind: "cut" });
  await until(() => open.seen.error === "ECONNRESET");
  const late = client();
  await until(() => late.seen.error === "ECONNRESET");
});

test("silent swallows both directions and keeps the connection, which works again afterwards", async () => {
  const { socket, seen } = client();
  socket.write("1");
  await until(() => seen.text === "1");
  proxy.set({ kind: "silent" });
  socket.write("2");
  const other = client();
  other.socket.write("3");
  await expect(until(() => heard.length > 1, { timeoutMs: 150 })).rejects.toThrow("not within 150 ms");
  proxy.set({ kind: "pass" });
  socket.write("4");
  await until(() => seen.text === "14");
  expect(socket.destroyed).toBe(false);
});

test("abandon leaves the client with a connection that nobody answers, and lets new ones pass", async () => {
  const { socket, seen } = client();
  socket.write("1");
  await until(() => seen.text === "1");
  proxy.set({ kind: "abandon" });
  socket.write("2");
  const late = client();
  late.socket.write("3");
  await until(() => late.seen.text === "3");
  expect([heard, seen.text, seen.error, socket.destroyed]).toEqual(["13", "1", "", false]);
  const closed = once(late.socket, "close");
  await proxy.stop();
  await closed;
  await until(() => socket.closed);
  proxy = await faultProxy(1);
});

test("dropReplies lets the request happen and nobody hear of it", async () => {
  proxy.set({ kind: "dropReplies" });
  const { socket, seen } = client();
  socket.write("done");
  await until(() => heard === "done");
  await expect(until(() => seen.text, { timeoutMs: 150 })).rejects.toThrow();
});

test("delay holds each direction back and keeps the order", async () => {
  proxy.set({ kind: "delay", ms: 60 });
  const { socket, seen } = client();
  const start = performance.now();
  socket.write("a");
  await until(() => seen.text === "a");
  expect(performance.now() - start).toBeGreaterThanOrEqual(118);
  socket.write("b");
  socket.write("c");
  await until(() => seen.text === "abc");
});

test("a server that hangs up ends the client's connection too", async () => {
  const { socket } = client();
  socket.write("x");
  await until(() => heard === "x");
  const closed = once(socket, "close");
  await proxy.stop();
  await closed;
  proxy = await faultProxy(1);
});
