import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, until } from "@flotilla/testkit";
import { expect, test } from "vitest";
import { connect, disconnect, isConnected } from "../src/index.ts";
import { logger } from "./fleet.ts";

describeRealRedis("waiting for a connection", () => {
  test("a Redis that is being restarted is waited for, through the connections that it refuses", async () => {
    const redis = await startRedis();
    await redis.kill();
    const connection = connect(redisSettingsOf(redis.url), "patient", logger);
    let refusals = 0;
    connection.on("error", () => refusals++);
    try {
      const connected = isConnected(connection, 30_000);
      await until(() => refusals > 1);
      await redis.restart();
      await connected;
      expect(await connection.ping()).toBe("PONG");
    } finally {
      disconnect(connection);
      await redis.stop();
    }
  });

  test("where there is none it ends in time, and says why", async () => {
    const redis = await startRedis();
    await redis.kill();
    const connection = connect(redisSettingsOf(redis.url), "patient", logger);
    try {
      await expect(isConnected(connection, 300)).rejects.toMatchObject({
        message: expect.stringContaining("300 ms"),
        cause: { code: "ECONNREFUSED" },
      });
    } finally {
      disconnect(connection);
      await redis.stop();
    }
  });
});
