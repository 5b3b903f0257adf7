import { afterEach, expect, test } from "vitest";
import { describeRealRedis, startSentinels, type TestSentinels, until } from "../src/index.ts";

describeRealRedis("sentinels", () => {
  let group: TestSentinels;
  afterEach(() => group.stop());

  test("a master that is killed is followed by one of its replicas", async () => {
    group = await startSentinels();
    const first = await group.master();
    expect(first).toBe(group.nodes[0]);
    await first.kill();
    await until(async () => (await group.master()) !== first, { timeoutMs: 20_000 });
  });
});
