import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hangFetching, startReader } from "./stuck-reader.ts";

describeRealRedis("a reader of jobs", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  test("whose reading stands still begins anew by itself, and finds what waits", { timeout: 60_000 }, async () => {
    const done: string[] = [];
    const rig = await startReader(redis, "still", async (text) => void done.push(text));
    hangFetching();
    await rig.queue.add("job", "found");
    await until(() => done.includes("found"), { timeoutMs: 30_000 });
    expect(rig.reader.check().ok).toBe(true);
    await rig.stop();
  });
});
