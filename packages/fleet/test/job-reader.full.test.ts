import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { hangFetching, type ReaderRig, startReader, stillAfterMs } from "./stuck-reader.ts";

describeRealRedis("the health of a reader of jobs", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  test("is bad while it cannot read though Redis is there, and good again when it can", async () => {
    const done: string[] = [];
    const rig = await startReader(redis, "stuck", async (text) => void done.push(text));
    hangFetching(true);
    await rig.queue.add("job", "found");
    await until(() => !rig.reader.check().ok, { timeoutMs: 30_000 });
    vi.restoreAllMocks();
    await until(() => rig.reader.check().ok && done.includes("found"), { timeoutMs: 30_000 });
    await rig.stop();
  });

  /** Whether it stays well for longer than it would be borne with. */
  async function staysWell({ reader }: ReaderRig): Promise<void> {
    const startedAt = performance.now();
    const hasPassed = () => performance.now() - startedAt > stillAfterMs + 3000;
    await until(() => hasPassed() || !reader.check().ok, { timeoutMs: 60_000 });
    expect(reader.check().ok).toBe(true);
  }

  test("is good while its hands are full, and while Redis is away", async () => {
    const gate = Promise.withResolvers<void>();
    let busy = 0;
    const rig = await startReader(redis, "busy", async () => {
      busy++;
      await gate.promise;
    });
    await rig.queue.addBulk(["a", "b"].map((data) => ({ name: "job", data })));
    await until(() => busy === 2);
    hangFetching(true);
    await staysWell(rig);
    rig.isReachable = false;
    gate.resolve();
    await staysWell(rig);
    await rig.stop();
  });
});
