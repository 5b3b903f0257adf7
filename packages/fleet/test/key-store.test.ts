import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Connection, disconnect, isConnected, RedisKeyStore } from "../src/index.ts";
import { logger } from "./fleet.ts";

describeRealRedis("API keys", () => {
  let redis: TestRedis;
  let connection: Connection;
  let keys: RedisKeyStore;
  beforeAll(async () => {
    redis = await startRedis();
    connection = connect(redisSettingsOf(redis.url), "failFast", logger);
    await isConnected(connection);
    keys = new RedisKeyStore(connection);
  });
  afterAll(async () => {
    disconnect(connection);
    await redis.stop();
  });

  test("a key finds its owner until it is revoked, and is stored nowhere", async () => {
    const { record, apiKey } = await keys.create("acme", "operator");
    expect(record).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
      tenant: "acme",
      role: "operator",
    });
    expect(await keys.find(apiKey)).toEqual(record);
    expect(await keys.list()).toEqual([record]);
    expect(JSON.stringify(await connection.hgetall("{keys}:api"))).not.toContain(apiKey);
    expect(await keys.revoke(record.id)).toBe(true);
    expect(await keys.find(apiKey)).toBeUndefined();
    expect(await keys.revoke(record.id)).toBe(false);
  });

  test("an unknown key finds nobody", async () => {
    expect(await keys.find("flk_unknown")).toBeUndefined();
    expect(await keys.find("")).toBeUndefined();
  });

  test("a part of an id revokes nothing", async () => {
    const { record, apiKey } = await keys.create("acme", "user");
    for (const part of ["", record.id.slice(0, 7), `${record.id}0`]) expect(await keys.revoke(part)).toBe(false);
    expect(await keys.find(apiKey)).toEqual(record);
  });

  test("a key that was made elsewhere is adopted once, and stays its owner's", async () => {
    const first = await keys.adopt("flk_mine", "acme", "user");
    expect(await keys.adopt("flk_mine", "other", "operator")).toEqual(first);
    expect(await keys.find("flk_mine")).toEqual(first);
  });
});
