import { redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import { CircuitOpenError } from "@flotilla/workflow";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openCircuits } from "../src/circuits.ts";
import {
  connect,
  type Connection,
  disconnect,
  isConnected,
  ProviderLimits,
  Scripts,
  SharedCircuits,
} from "../src/index.ts";
import { logger, phase, planOf, story, task, tenant, TestFleet } from "./fleet.ts";

const circuit = "model:example";
const always = () => true;
const outcomes = (settled: PromiseSettledResult<unknown>[]) =>
  settled.map((one) => {
    if (one.status === "fulfilled") return "passed";
    return one.reason instanceof CircuitOpenError ? "kept away" : "failed";
  });

describeRealRedis("circuits and limits", () => {
  let redis: TestRedis;
  let connection: Connection;
  beforeAll(async () => {
    redis = await startRedis();
    connection = connect(redisSettingsOf(redis.url), "patient", logger);
    await isConnected(connection);
  });
  beforeEach(() => connection.flushall());
  afterAll(async () => {
    disconnect(connection);
    await redis.stop();
  });

  /** As each worker process has them. */
  function process(): SharedCircuits {
    const circuits = new SharedCircuits({ openMs: 5000, logger });
    circuits.share(new Scripts(connection));
    return circuits;
  }

  const fail = async () => {
    throw new Error("down");
  };
  const pass = async () => "up";
  const call = (circuits: SharedCircuits, made: () => Promise<unknown>, name = circuit, isFault = always) =>
    circuits.run(name, made, isFault).catch((error: unknown) => error);
  const open = async () => openCircuits(new Scripts(connection));

  /** Opens the circuit by one process, and lets Redis know. */
  async function broken(): Promise<SharedCircuits> {
    const first = process();
    for (let n = 0; n < 6; n++) await call(first, fail);
    await until(async () => (await open()).length === 1, { what: "the circuit to open" });
    return first;
  }

  /** The time for which it is open is over. */
  const wait = async (breaks = 1) => {
    const now = Number((await connection.time())[0]) * 1000;
    await connection.hset("{fleet}:circuits", circuit, `${now - 1000} ${breaks}`);
  };

  test("what one process opens is open for all, and no call is made; before they know it, it is", async () => {
    const [first, second] = [await broken(), process()];
    let calls = 0;
    const count = async () => ++calls;
    expect(await call(first, count)).toBeInstanceOf(CircuitOpenError);
    expect(await call(second, count)).toBe(1);
    await second.refresh();
    const error = await call(second, count);
    expect(error).toBeInstanceOf(CircuitOpenError);
    expect(error).toMatchObject({ circuit, retryInMs: expect.any(Number) });
    expect(calls).toBe(1);
    expect(await call(second, count, "model:other")).toBe(2);
  });

  test("a few failures, and those that do not count, open none; most of the last calls do", async () => {
    const circuits = process();
    for (let n = 0; n < 50; n++) await call(circuits, fail, circuit, () => false);
    for (let n = 0; n < 20; n++) await call(circuits, n % 2 === 0 ? fail : pass, "tool:half");
    for (let n = 0; n < 49; n++) await call(circuits, fail, "agent:patient");
    expect(await call(circuits, pass)).toBe("up");
    expect(await open()).toEqual([]);
    await call(circuits, fail, "agent:patient");
    await until(async () => (await open()).length === 1, { what: "the circuit to open" });
  });

  test("in its time three calls of the whole fleet are let through; the first that succeeds closes it for all", async () => {
    const fleet = [await broken(), process(), process()];
    await wait();
    for (const circuits of fleet) await circuits.refresh();
    const gate = Promise.withResolvers<string>();
    const probes = fleet.flatMap((circuits) => [1, 2].map(() => circuits.run(circuit, () => gate.promise, always)));
    const settled = Promise.allSettled(probes);
    await until(async () => (await connection.zcard(`{fleet}:probes:${circuit}`)) === 3, { what: "three probes" });
    gate.resolve("up");
    expect(outcomes(await settled).toSorted()).toEqual([
      ...Array.from({ length: 3 }, () => "kept away"),
      ...Array.from({ length: 3 }, () => "passed"),
    ]);
    expect(await open()).toEqual([]);
    for (const circuits of fleet) {
      await circuits.refresh();
      expect(await call(circuits, pass)).toBe("up");
    }
  });

  test("a probe that fails opens it for twice as long, and what failed before counts no more once it is closed", async () => {
    const first = await broken();
    await wait();
    await first.refresh();
    expect(await call(first, fail)).not.toBeInstanceOf(CircuitOpenError);
    const [again] = await open();
    expect(again?.inMs).toBeGreaterThan(5000);
    expect(again?.inMs).toBeLessThanOrEqual(10_000);
    await wait(2);
    await first.refresh();
    expect(await call(first, pass)).toBe("up");
    expect(await open()).toEqual([]);
    await call(first, fail);
    expect(await call(first, pass)).toBe("up");
  });

  test("one that nobody tries is forgotten", async () => {
    await broken();
    await connection.hset("{fleet}:circuits", circuit, "1 1");
    expect(await open()).toEqual([]);
    expect(await connection.exists("{fleet}:circuits")).toBe(0);
  });

  test("a minute of a provider is the whole fleet's; what is beyond it waits for the next, and nothing does unless said", async () => {
    const limitsOf = (options: { requestsPerMinute?: number; tokensPerMinute?: number }) => {
      const limits = new ProviderLimits({ ...options, logger });
      limits.share(connection);
      return limits;
    };
    const [one, two] = [limitsOf({ requestsPerMinute: 2 }), limitsOf({ requestsPerMinute: 2 })];
    expect([await one.take("a"), await two.take("a")]).toEqual([0, 0]);
    for (const limits of [one, two]) {
      expect(await limits.take("a")).toBeGreaterThan(50_000);
      expect(await limits.take("b")).toBe(0);
    }
    const tokens = limitsOf({ tokensPerMinute: 100 });
    expect(await tokens.take("a")).toBe(0);
    await tokens.spent("a", 99);
    expect(await tokens.take("a")).toBe(0);
    await tokens.spent("a", 1);
    expect(await limitsOf({ tokensPerMinute: 100 }).take("a")).toBeGreaterThan(50_000);
    expect(await limitsOf({}).take("a")).toBe(0);
    // As if the minute were over.
    await connection.del("{fleet}:requests:a");
    expect(await one.take("a")).toBe(0);
  });

  test("while Redis is away no call is held up for a limit", async () => {
    const away = connect(redisSettingsOf(redis.url), "failFast", logger);
    await isConnected(away);
    const limits = new ProviderLimits({ requestsPerMinute: 1, logger });
    limits.share(away);
    expect(await limits.take("a")).toBe(0);
    expect(await limits.take("a")).toBeGreaterThan(0);
    disconnect(away);
    expect(await limits.take("a")).toBe(0);
    await limits.spent("a", 1);
  });

  test("a task that meets one waits for its time, its attempt unspent, and the API says for what", async () => {
    const fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
    let isOpen = true;
    fleet.acts.set("meet", async () => {
      const by = { reason: "circuit-open" as const, of: circuit, forMs: 500 };
      return isOpen ? { kind: "postponed", by } : { kind: "completed", output: "done" };
    });
    const id = await fleet.submit(planOf(phase("main", [task("a", { act: "meet" })])));
    const view = await until(async () => {
      const one = (await fleet.store.get(tenant, id))?.tasks[0];
      return one?.waitingFor?.reason === "circuit-open" && one;
    });
    expect(view).toMatchObject({ status: "waiting", attempt: 1, waitingFor: { of: circuit } });
    // No job of it waits or runs: it asks for no further worker.
    await until(async () => {
      const worker = (await fleet.store.agents()).find(({ type }) => type === "worker");
      const [one] = (await fleet.store.get(tenant, id))?.tasks ?? [];
      return worker?.backlog === 0 && one?.status === "waiting";
    });
    isOpen = false;
    const run = await fleet.end(id);
    expect(run.view).toMatchObject({ status: "completed", tasks: [{ attempt: 1 }] });
    expect(story(run, "a").filter((type) => type === "task.failed")).toEqual([]);
    await fleet.stop();
  });
});
