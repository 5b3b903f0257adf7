import { createLogger, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import { afterAll, beforeAll } from "vitest";
import { connect, type Connection, disconnect, isConnected } from "../src/index.ts";
import { scriptRules } from "./script-rules.ts";

describeRealRedis("scripts on one Redis", () => {
  let redis: TestRedis;
  let connection: Connection;
  beforeAll(async () => {
    redis = await startRedis();
    connection = connect(redisSettingsOf(redis.url), "patient", createLogger({ role: "test", level: "silent" }));
    await isConnected(connection);
  });
  afterAll(async () => {
    disconnect(connection);
    await redis.stop();
  });

  scriptRules(() => connection);
});
