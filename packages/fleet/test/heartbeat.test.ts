import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, type FaultProxy, faultProxy, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Connection, disconnect, isConnected, type Patience } from "../src/index.ts";
import { logger } from "./fleet.ts";

describeRealRedis("a peer that is silent for ever", () => {
  let redis: TestRedis;
  const proxies: FaultProxy[] = [];
  const connections: Connection[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    for (const connection of connections) disconnect(connection);
    for (const proxy of proxies) await proxy.stop();
    await redis.stop();
  });

  async function proxied(): Promise<FaultProxy> {
    const proxy = await faultProxy(redis.port);
    proxies.push(proxy);
    return proxy;
  }

  async function open(patience: Patience, { url }: Pick<FaultProxy, "url">): Promise<Connection> {
    const connection = connect(redisSettingsOf(url), patience, logger);
    connections.push(connection);
    await isConnected(connection);
    return connection;
  }

  test.concurrent.each(["failFast", "patient", "blocking"] as const)("is left within 10 s: %s", async (patience) => {
    const proxy = await proxied();
    const connection = await open(patience, proxy);
    await connection.ping();
    proxy.set({ kind: "abandon" });
    const startedAt = performance.now();
    await until(() => connection.ping(), { timeoutMs: 15_000 });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test.concurrent("is left by who only listens, too, who then hears again", async () => {
    const proxy = await proxied();
    const connection = await open("blocking", proxy);
    let heard = 0;
    connection.on("message", () => heard++);
    await connection.subscribe("channel");
    const speaker = new Redis(redis.port);
    await until(async () => (await speaker.publish("channel", "x"), heard > 0));
    proxy.set({ kind: "abandon" });
    const before = heard;
    await until(async () => (await speaker.publish("channel", "x"), heard > before), { timeoutMs: 10_000 });
    speaker.disconnect();
  });

  test.concurrent("that does not even answer the greeting is left, too", async () => {
    const proxy = await proxied();
    proxy.set({ kind: "silent" });
    const connection = connect(redisSettingsOf(proxy.url), "blocking", logger);
    connections.push(connection);
    await until(() => connection.status === "connect");
    proxy.set({ kind: "abandon" });
    await isConnected(connection, 10_000);
  });

  test.concurrent("the control: without the heartbeat nothing is heard of it", async () => {
    const proxy = await proxied();
    const connection = new Redis(proxy.port, { maxRetriesPerRequest: null, commandTimeout: 1000 });
    await connection.ping();
    proxy.set({ kind: "abandon" });
    const given = [];
    for (let n = 0; n < 5; n++) given.push(await connection.ping().catch((error: Error) => error.message));
    expect(new Set(given)).toEqual(new Set(["Command timed out"]));
    connection.disconnect();
  });

  test.concurrent("a peer that answers is kept, also by who only listens", async () => {
    const own = await startRedis();
    const [asking, listening] = [await open("patient", own), await open("blocking", own)];
    await listening.subscribe("channel");
    let closed = 0;
    for (const connection of [asking, listening]) connection.on("close", () => closed++);
    const info = async () => (await asking.info("commandstats")).match(/cmdstat_ping:calls=(\d+)/)?.[1];
    // Both have been asked several times, for longer than a silence is borne.
    await until(async () => Number(await info()) >= 12, { timeoutMs: 20_000 });
    expect(closed).toBe(0);
    await own.stop();
  });

  test.concurrent("a connection that the driver has parked for good is opened again", async () => {
    const connection = await open("patient", redis);
    // Not by us: as the driver does when it cannot find out whom to connect to.
    connection.disconnect();
    await until(() => connection.status === "end");
    await until(() => connection.ping(), { timeoutMs: 10_000 });
  });
});
