import { createLogger, type RedisSettings, redisSettingsOf } from "@flotilla/runtime";
import { describeRealRedis, startCluster, type TestCluster } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Connection, disconnect, isConnected } from "../src/index.ts";
import { tagOf } from "../src/keys.ts";
import { phase, planOf, task, tenant, TestFleet } from "./fleet.ts";
import { scriptRules } from "./script-rules.ts";

describeRealRedis("scripts on a Redis Cluster of three nodes", () => {
  let cluster: TestCluster;
  let settings: RedisSettings;
  let connection: Connection;
  beforeAll(async () => {
    cluster = await startCluster();
    const [node = { host: "", port: 0 }] = cluster.startupNodes;
    settings = redisSettingsOf(`redis://${node.host}:${node.port}`, true);
    connection = connect(settings, "patient", createLogger({ role: "test", level: "silent" }));
    await isConnected(connection);
  });
  afterAll(async () => {
    disconnect(connection);
    await cluster.stop();
  });

  scriptRules(() => connection);

  test("whole workflows run over every shard and node: no script, queue or list reaches into another slot", async () => {
    const fleet = await TestFleet.start({ redis: settings });
    try {
      const request = planOf(
        phase("plan", [task("plan")]),
        phase("fan", [task("a", "{{tasks.plan.output}}"), task("b", "x".repeat(5000)), task("c", "y".repeat(50_000))]),
        phase("end", [task("end", ["{{tasks.a.output}}", "{{input}}"])]),
      );
      const submitted = await Promise.all(
        Array.from({ length: 60 }, () => fleet.submit({ ...request, tags: { of: "cluster" } })),
      );
      expect(new Set(submitted.map(tagOf)).size).toBeGreaterThan(8);
      const runs = await Promise.all(submitted.map((id) => fleet.end(id)));
      expect(new Set(runs.map(({ view }) => view.status))).toEqual(new Set(["completed"]));
      expect(runs[0]?.view.result).toEqual(["plan", "input"]);
      const listed = await fleet.store.list({ tenant, tag: { key: "of", value: "cluster" }, limit: 200 });
      expect(listed?.workflows).toHaveLength(60);
      expect((await fleet.store.agents()).map(({ type }) => type)).toEqual(
        expect.arrayContaining(["planner", "worker"]),
      );
      const holding = await Promise.all(cluster.nodes.map(({ port }) => keyCount(port)));
      expect(Math.min(...holding)).toBeGreaterThan(0);
    } finally {
      await fleet.stop();
    }
  });

  async function keyCount(port: number): Promise<number> {
    const nodes = "nodes" in connection ? connection.nodes("master") : [];
    return (await nodes.find((node) => node.options.port === port)?.dbsize()) ?? 0;
  }
});
