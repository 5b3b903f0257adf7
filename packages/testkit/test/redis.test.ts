import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { describeRealRedis, startCluster, startRedis, until } from "../src/index.ts";

describeRealRedis("a private Redis", () => {
  test("what was written before a kill is there after a restart on the same port", async () => {
    const redis = await startRedis({ appendfsync: "always" });
    const client = new Redis(redis.url);
    client.on("error", () => {});
    try {
      await client.set("kept", "yes");
      const before = redis.pid;
      await redis.kill();
      await redis.restart();
      expect(redis.pid).not.toBe(before);
      expect(await client.get("kept")).toBe("yes");
    } finally {
      client.disconnect();
      await redis.stop();
    }
  });

  test("it never evicts, writes every command to disk and takes no snapshots", async () => {
    const redis = await startRedis();
    const client = new Redis(redis.url);
    try {
      const settings = await client.config("GET", "maxmemory-policy", "appendonly", "appendfsync", "save", "bind");
      expect(settings).toEqual(expect.arrayContaining(["noeviction", "yes", "everysec", "127.0.0.1", ""]));
    } finally {
      client.disconnect();
      await redis.stop();
    }
  });

  test("a paused one is silent until it is resumed", async () => {
    const redis = await startRedis();
    const client = new Redis(redis.url, { commandTimeout: 200 });
    try {
      await client.ping();
      redis.pause();
      await expect(client.ping()).rejects.toThrow("timed out");
      redis.resume();
      expect(await until(() => client.ping())).toBe("PONG");
    } finally {
      client.disconnect();
      await redis.stop();
    }
  });
});

describeRealRedis("a private Redis Cluster", () => {
  test("keys of all slots can be written through any node", async () => {
    const cluster = await startCluster();
    const client = new Redis.Cluster(cluster.startupNodes);
    try {
      const keys = Array.from({ length: 64 }, (_, index) => `key-${index}`);
      await Promise.all(keys.map((key) => client.set(key, key)));
      expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
      expect(client.nodes("master")).toHaveLength(3);
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });
});
