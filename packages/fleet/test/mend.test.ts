import { createMetrics, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis } from "@flotilla/testkit";
import type { Dispatch } from "@flotilla/workflow";
import { type Job, Worker } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  agentQueue,
  connect,
  type Connection,
  disconnect,
  isConnected,
  queuePrefix,
  Queues,
  Scripts,
} from "../src/index.ts";
import { admissionQueue } from "../src/keys.ts";
import { mendQueues } from "../src/mend.ts";
import { logger } from "./fleet.ts";

const name = agentQueue("worker");
const prefix = queuePrefix(name);
const keyOf = (part: string) => `${prefix}:${name}:${part}`;

const dispatch: Dispatch = { taskId: "a", agent: "worker", attempt: 1, dispatch: 1, deaths: 0, priority: "normal" };
const workflowId = "wf_00_00000000000000000000000000";
const jobId = `${workflowId}.a.1.1`;

describeRealRedis("queues that are damaged", () => {
  let redis: TestRedis;
  let raw: Redis;
  let connection: Connection;
  let queues: Queues;
  beforeAll(async () => {
    redis = await startRedis();
    raw = new Redis(redis.url);
    connection = connect(redisSettingsOf(redis.url), "patient", logger);
    await isConnected(connection);
    queues = new Queues(connection);
  });
  afterEach(() => raw.flushall());
  afterAll(async () => {
    await queues.close();
    disconnect(connection);
    raw.disconnect();
    await redis.stop();
  });

  const add = () => queues.dispatch([{ workflowId, dispatch }]);
  const missing = () => queues.missing(workflowId, [dispatch]);
  const states = () => queues.open(name).getJobState(jobId);

  async function mend(): Promise<number> {
    const metrics = createMetrics();
    await mendQueues({ scripts: new Scripts(connection), metrics, logger }, [name]);
    const { values } = await metrics.recoveryOperations.get();
    return values.find(({ labels }) => labels["strategy"] === "mend")?.value ?? 0;
  }

  /** The ids of jobs that a worker can fetch, until there are none. */
  async function fetchAll(): Promise<string[]> {
    const worker = new Worker(name, null, { connection: { url: redis.url }, prefix });
    worker.on("error", () => undefined);
    try {
      const ids: string[] = [];
      for (;;) {
        const job: Job | undefined = await worker.getNextJob("token", { block: false });
        if (!job?.id) return ids;
        ids.push(job.id);
      }
    } finally {
      await worker.close(true);
    }
  }

  describe("a job that no worker will find", () => {
    const losses: Record<string, (key: string) => Promise<unknown>> = {
      "is gone": (key) => raw.del(key),
      "is another type": (key) => raw.multi().del(key).set(key, "no job").exec(),
      "has other data": (key) => raw.hset(key, "data", "{}"),
      "has data that are no JSON": (key) => raw.hset(key, "data", "{"),
      "has options that are no JSON": (key) => raw.hset(key, "opts", "no JSON"),
      "stands in no list": () => raw.zrem(keyOf("prioritized"), jobId),
      "stands in a list that is gone": () => raw.del(keyOf("prioritized")),
    };

    test.each(Object.entries(losses))(
      "because it %s is missing, and what is left of it does not keep it from coming back",
      async (_, lose) => {
        await add();
        expect(await missing()).toEqual([]);
        await lose(keyOf(jobId));
        expect(await missing()).toEqual(["a"]);
        await add();
        expect([await missing(), await states()]).toEqual([[], "prioritized"]);
        expect(await fetchAll()).toContain(jobId);
      },
    );

    test("one that a worker has is not missing", async () => {
      await add();
      expect(await fetchAll()).toEqual([jobId]);
      expect([await missing(), await states()]).toEqual([[], "active"]);
    });

    test("an admission job that is broken makes way for one that is not", async () => {
      const admission = queues.open(admissionQueue);
      await queues.admit([{ id: workflowId, priority: "normal" }]);
      expect(await queues.isAdmissible(workflowId)).toBe(true);
      await raw.zrem(`${queuePrefix(admissionQueue)}:${admissionQueue}:prioritized`, workflowId);
      await queues.admit([{ id: workflowId, priority: "normal" }]);
      expect(await admission.getJobState(workflowId)).toBe("unknown");
      expect(await queues.isAdmissible(workflowId)).toBe(false);
      await queues.admit([{ id: workflowId, priority: "normal" }]);
      expect(await admission.getJobState(workflowId)).toBe("prioritized");
    });
  });

  describe("mending", () => {
    const parts = [
      "wait",
      "paused",
      "active",
      "prioritized",
      "delayed",
      "completed",
      "failed",
      "marker",
      "meta",
      "events",
    ];

    test.each([...parts, "stalled", "pc", "id", "stalled-check"])(
      "a queue whose key `%s` is another type works again",
      async (part) => {
        await add();
        await raw.del(keyOf(part));
        await (part === "wait" || part === "active" || part === "paused"
          ? raw.hset(keyOf(part), "no", "queue")
          : raw.rpush(keyOf(part), "no", "queue"));
        expect(await mend()).toBe(1);
        expect(await mend()).toBe(0);
        if ((await missing()).length > 0) await add();
        expect(await fetchAll()).toEqual([jobId]);
      },
    );

    test("numbers that are none, and a lock without an end, are removed", async () => {
      await add();
      await raw.set(keyOf("pc"), "no number");
      await raw.set(keyOf("id"), "1.5");
      await raw.set(keyOf("stalled-check"), "1");
      await raw.hset(keyOf("meta"), "opts.maxLenEvents", "many", "concurrency", "some");
      expect(await mend()).toBe(5);
      expect(await mend()).toBe(0);
      await queues.dispatch([{ workflowId, dispatch: { ...dispatch, taskId: "b" } }]);
      expect(await fetchAll()).toHaveLength(2);
    });

    test("a job whose options or data are no JSON leaves its list: it would stop the search for stalled jobs", async () => {
      for (const [id, spoilt] of Object.entries({
        one: { opts: "no JSON", data: "{}" },
        two: { opts: "5", data: "{}" },
      })) {
        await raw.hset(keyOf(id), spoilt);
        await raw.lpush(keyOf("active"), id);
      }
      await raw.hset(keyOf("three"), { opts: "{}", data: "{" });
      await raw.zadd(keyOf("prioritized"), 0, "three");
      await add();
      expect(await mend()).toBe(3);
      expect(await raw.lrange(keyOf("active"), 0, -1)).toEqual([]);
      expect(await fetchAll()).toEqual([jobId]);
    });

    test("a job that is no job leaves its list, and the others are fetched", async () => {
      await raw.set(keyOf("broken"), "no job");
      await raw.zadd(keyOf("prioritized"), 0, "broken");
      await raw.lpush(keyOf("active"), "gone");
      await add();
      expect(await mend()).toBe(1);
      expect(await raw.lrange(keyOf("active"), 0, -1)).toEqual([]);
      expect(await fetchAll()).toEqual([jobId]);
    });

    test("a queue that is sound, waiting, active and failed jobs included, stays as it is", async () => {
      const ids = ["a", "b", "c"];
      await queues.dispatch(ids.map((taskId) => ({ workflowId, dispatch: { ...dispatch, taskId } })));
      const worker = new Worker(name, null, { connection: { url: redis.url }, prefix });
      const job = await worker.getNextJob("token", { block: false });
      await job?.moveToFailed(new Error("failed"), "token", false);
      await worker.getNextJob("token", { block: false });
      await worker.close(true);
      const before = await queues.depth(name);
      expect(before).toEqual({ wait: 0, prioritized: 1, active: 1, failed: 1 });
      expect(await mend()).toBe(0);
      expect(await queues.depth(name)).toEqual(before);
    });
  });
});
