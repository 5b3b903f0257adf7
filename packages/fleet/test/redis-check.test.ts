import { ConfigError, createLogger, type DurabilityLevel, type Logger, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startRedis, startSentinels, type TestRedisOptions, until } from "@flotilla/testkit";
import { Redis } from "ioredis";
import { describe, expect, test } from "vitest";
import { agreeOnFormat } from "../src/format.ts";
import { askRedis, judgeRedis, RedisCheck, type RedisFacts } from "../src/index.ts";

const silent = createLogger({ role: "test", level: "silent" });

const healthy: RedisFacts = {
  address: "127.0.0.1:6379",
  version: "7.0.15",
  isMaster: true,
  isDurable: true,
  fsync: "always",
  evictionPolicy: "noeviction",
  replicas: 1,
  latencyMs: 0.2,
  clockSkewMs: 3,
};

/** What is not `ok` about a Redis that differs from a healthy one in this. */
function faults(level: DurabilityLevel, change: Partial<RedisFacts> = {}, unknown: (keyof RedisFacts)[] = []) {
  const facts = Object.fromEntries(Object.entries({ ...healthy, ...change }).filter(([name]) => !isIn(unknown, name)));
  // Only what may be unknown was left out.
  return judgeRedis(facts as unknown as RedisFacts, { level, replicas: 1 })
    .filter(({ verdict }) => verdict !== "ok")
    .map(({ check, verdict }) => `${check} ${verdict}`);
}

function isIn(names: readonly string[], name: string): boolean {
  return names.includes(name);
}

describe("what is said of a Redis", () => {
  test.each(["fast", "standard", "strict"] as const)("nothing, at `%s`, when all is well", (level) => {
    expect(faults(level)).toEqual([]);
  });

  test.each([
    ["evicts keys", "fast", { evictionPolicy: "allkeys-lru" }, ["redis-eviction bad"]],
    ["evicts what expires", "standard", { evictionPolicy: "volatile-ttl" }, ["redis-eviction bad"]],
    ["is too old", "fast", { version: "6.0.16" }, ["redis bad"]],
    ["is old enough", "fast", { version: "6.2.0" }, []],
    ["has two digits", "fast", { version: "10.0.0" }, []],
    ["is a replica", "fast", { isMaster: false }, ["redis-replication bad"]],
    ["keeps no file", "fast", { isDurable: false }, ["redis-durability warning"]],
    ["keeps no file", "standard", { isDurable: false }, ["redis-durability bad"]],
    ["keeps no file", "strict", { isDurable: false }, ["redis-durability bad"]],
    ["syncs now and then", "fast", { fsync: "everysec" }, []],
    ["never syncs", "fast", { fsync: "no" }, ["redis-durability warning"]],
    ["syncs now and then", "standard", { fsync: "everysec" }, ["redis-durability bad"]],
    ["syncs now and then", "strict", { fsync: "everysec" }, ["redis-durability bad"]],
    ["has no replica", "standard", { replicas: 0 }, []],
    ["has no replica", "strict", { replicas: 0 }, ["redis-replication bad"]],
    ["is far away", "fast", { latencyMs: 11 }, ["redis-latency warning"]],
    ["is ahead", "fast", { clockSkewMs: 501 }, ["clock-skew warning"]],
    ["is behind", "fast", { clockSkewMs: -501 }, ["clock-skew warning"]],
    ["is nearly right", "fast", { clockSkewMs: 499 }, []],
  ] as const)("one that %s, at `%s`", (_, level, change, expected) => {
    expect(faults(level, change)).toEqual(expected);
  });

  test("what a hosted one hides is warned of and not refused", () => {
    expect(faults("standard", {}, ["fsync"])).toEqual(["redis-durability warning"]);
    expect(faults("standard", { isDurable: false }, ["fsync"])).toEqual(["redis-durability bad"]);
    expect(faults("fast", {}, ["evictionPolicy", "version"])).toEqual(["redis warning", "redis-eviction warning"]);
  });
});

describeRealRedis("the check of a process that starts", () => {
  async function start(options: TestRedisOptions, level: DurabilityLevel, logger: Logger = silent): Promise<void> {
    const redis = await startRedis(options);
    const settings = { ...redisSettingsOf(redis.url), durability: { level, replicas: 1 } };
    try {
      await new RedisCheck(settings, logger).start();
    } finally {
      await redis.stop();
    }
  }

  test.each<[string, TestRedisOptions, DurabilityLevel]>([
    ["an ordinary Redis at `fast`", {}, "fast"],
    ["one without a file at `fast`", { appendonly: false }, "fast"],
    ["one that syncs always at `standard`", { appendfsync: "always" }, "standard"],
    ["one that hides its configuration", { extraArgs: ["--rename-command", "CONFIG", ""] }, "fast"],
  ])("lets it start on %s", async (_, options, level) => {
    await start(options, level);
  });

  test.each<[string, TestRedisOptions, DurabilityLevel, RegExp]>([
    ["evicts", { extraArgs: ["--maxmemory-policy", "allkeys-lru"] }, "fast", /redis-eviction of \S+: allkeys-lru/],
    [
      "evicts and hides it",
      { extraArgs: ["--maxmemory-policy", "allkeys-lru", "--rename-command", "CONFIG", ""] },
      "fast",
      /redis-eviction of/,
    ],
    ["syncs now and then at `standard`", {}, "standard", /redis-durability of \S+: append-only file, fsync everysec/],
    ["has no replica at `strict`", { appendfsync: "always" }, "strict", /redis-replication of \S+: master, 0 replicas/],
  ])("refuses one that %s, and says what to do", async (_, options, level, line) => {
    const refused = start(options, level);
    await expect(refused).rejects.toThrow(ConfigError);
    await expect(refused).rejects.toThrow(line);
  });

  test("says all that is wrong at once", async () => {
    const options = { appendonly: false, extraArgs: ["--maxmemory-policy", "allkeys-lru"] };
    await expect(start(options, "strict")).rejects.toMatchObject({
      problems: [
        { variable: "redis-replication" },
        { variable: "redis-durability" },
        { variable: "redis-eviction", advice: expect.stringContaining("noeviction") as unknown },
      ],
    });
  });

  test("refuses what a later release has written in another form, and lets releases of one form be side by side", async () => {
    const redis = await startRedis();
    try {
      const settings = redisSettingsOf(redis.url);
      const starts = (format?: number) => agreeOnFormat(settings, silent, 5000, format);
      await new RedisCheck(settings, silent).start();
      await starts();
      await starts(2);
      await starts(2);
      const refused = new RedisCheck(settings, silent).start();
      await expect(refused).rejects.toThrow(ConfigError);
      await expect(refused).rejects.toThrow(/redis-format a later release has written here in form 2/);
      // Whoever was refused has changed nothing.
      await starts(2);
    } finally {
      await redis.stop();
    }
  });

  test("finds the master through sentinels, and counts its replicas", async () => {
    const group = await startSentinels({ replicas: 1, appendfsync: "always" });
    try {
      const [first = { host: "", port: 0 }] = group.addresses;
      const settings = {
        ...first,
        database: 0,
        cluster: false,
        sentinel: { nodes: group.addresses, master: group.masterName },
        durability: { level: "strict", replicas: 1 } as const,
      };
      await new RedisCheck(settings, silent).start();
      const master = await group.master();
      expect(await askRedis(settings, silent)).toMatchObject([{ address: `127.0.0.1:${master.port}`, replicas: 1 }]);
    } finally {
      await group.stop();
    }
  });

  test("a replica that is named by its own address is refused", async () => {
    const master = await startRedis();
    const replica = await startRedis({ extraArgs: ["--replicaof", "127.0.0.1", String(master.port)] });
    try {
      const redis = new Redis(replica.port);
      await until(async () => (await redis.info("replication")).includes("master_link_status:up"));
      redis.disconnect();
      const refused = new RedisCheck(redisSettingsOf(replica.url), silent).start();
      await expect(refused).rejects.toThrow(/redis-replication of \S+: a replica/);
    } finally {
      await replica.stop();
      await master.stop();
    }
  });
});
