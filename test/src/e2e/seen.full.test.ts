import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  redisKind,
  OtlpReceiver,
  type ScriptedModel,
  startRedis,
  startScriptedModel,
  type TestRedis,
  until,
} from "@flotilla/testkit";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { workspace } from "./flotilla.ts";

/** What the fleet is given and nobody may find again. */
const secrets = {
  redis: "canary-of-redis",
  model: "canary-of-the-model",
  collector: "canary-of-the-collector",
  header: "canary-of-a-header",
  query: "canary-of-a-query",
  stranger: "canary-of-a-stranger",
};

/** What a user writes must be in the log of the workflow, which is in Redis, and nowhere else. */
const written = "canary-of-the-user";

describe.skipIf(redisKind === "none")("a fleet that is looked at", () => {
  let redis: TestRedis;
  let model: ScriptedModel;
  let receiver: OtlpReceiver;
  let fleet: Fleet;
  let metrics = "";
  const ids = { done: "", failed: "" };

  beforeAll(async () => {
    [redis, model, receiver] = await Promise.all([
      startRedis(),
      startScriptedModel(
        { kind: "calls", calls: [{ id: "call_1", name: "define", arguments: { word: "epoch" } }] },
        { kind: "text", text: JSON.stringify({ sentence: "It counts." }) },
        // As services do: the answer quotes the key that it refuses.
        { kind: "error", status: 401, message: `Incorrect API key provided: ${secrets.model}` },
      ),
      OtlpReceiver.start(),
    ]);
    const admin = new Redis(redis.url);
    await admin.config("SET", "requirepass", secrets.redis);
    admin.disconnect();
    fleet = await Fleet.start({
      args: ["--agents", "planner=0,research=0,analysis=0,execution=0,review=0,summary=1"],
      env: {
        LOG_LEVEL: "trace",
        REDIS_URL: redis.url.replace("redis://", `redis://:${secrets.redis}@`),
        FLOTILLA_AGENTS_DIR: join(workspace, "packages/agents/test/fixtures/agents"),
        OPENAI_BASE_URL: model.baseUrl,
        OPENAI_API_KEY: secrets.model,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secrets.collector}`,
        OTEL_BSP_SCHEDULE_DELAY: "50",
      },
    });
    const { client } = fleet;
    for (const outcome of ["done", "failed"] as const) {
      ids[outcome] = (await client.submit({ input: { text: `An epoch. ${written}` }, agent: "summary" })).id;
      await client.wait(ids[outcome]);
    }
    const { url, apiKey } = fleet.ready;
    const path = `${url}/v1/workflows`;
    await fetch(`${path}?token=${secrets.query}`, {
      headers: { authorization: `Bearer ${apiKey}`, "x-api-key": secrets.header },
    });
    await fetch(path, { headers: { authorization: `Bearer ${secrets.stranger}`, cookie: `a=${secrets.header}` } });
    const pages = fleet.ready.processes.flatMap(({ metricsUrl }) => metricsUrl ?? []);
    metrics = (await Promise.all(pages.map(async (page) => (await fetch(page)).text()))).join("\n");
    await until(() => receiver.spans.some(({ name }) => name === "GET /v1/workflows"));
    await fleet.stop();
  });
  afterAll(async () => {
    await fleet.dispose();
    await Promise.all([model.stop(), receiver.stop(), redis.stop()]);
  });

  const traced = (id: string) => {
    const { traceId } = receiver.spans.find(({ attributes }) => attributes["flotilla.workflow"] === id) ?? {};
    return receiver.spans.filter((span) => span.traceId === traceId);
  };
  const textIn = async (folder: string) => {
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const texts = files
      .filter((file) => file.isFile())
      .map((file) => readFile(join(file.parentPath, file.name), "latin1"));
    return (await Promise.all(texts)).join("\n");
  };

  test("a workflow is one trace, over all processes", () => {
    const spans = traced(ids.done);
    const task = ["POST /v1/workflows", "process workflows", "look", "process agent.summary"];
    const run = [...task, "invoke_agent summary"];
    const paths = spans.map((span) => receiver.path(span));
    expect(paths).toEqual(
      expect.arrayContaining([
        run,
        [...run, "step count words"],
        [...run, "chat gpt-4.1-mini"],
        [...run, "execute_tool define"],
        ["POST /v1/workflows", "look"],
      ]),
    );
    expect(new Set(paths.map(([root]) => root))).toEqual(new Set(["POST /v1/workflows"]));
    expect(new Set(spans.map(({ service }) => service))).toEqual(
      new Set(["flotilla-api", "flotilla-supervisor", "flotilla-agent"]),
    );
  });

  test("lines of the log that are about a task name it, and its trace", async () => {
    const log = await readFile(join(fleet.ready.dataDir, "logs/agent-summary.log"), "utf8").catch(() =>
      textIn(join(fleet.ready.dataDir, "logs")),
    );
    const line = log.split("\n").find((text) => text.includes("task failed"));
    const [{ traceId } = { traceId: "none" }] = traced(ids.failed);
    expect(JSON.parse(line ?? "{}")).toMatchObject({ workflowId: ids.failed, taskId: "main", attempt: 1, traceId });
  });

  test("no secret is in logs, traces, metrics, the answers of the API, jobs or what Redis writes to disk", async () => {
    const { apiKey, operatorKey, dataDir } = fleet.ready;
    const places = {
      logs: await textIn(join(dataDir, "logs")),
      traces: receiver.bodies.map(({ body }) => body.toString()).join(),
      metrics,
      // Commands as they came, those of BullMQ with the data of its jobs among them.
      redis: await textIn(redis.dir),
    };
    // They are there: what is not found in them would be.
    expect(places.logs).toContain(ids.done);
    expect(places.traces).toContain(ids.done);
    expect(places.metrics).toContain("flotilla_agent_executions_total");
    expect(places.redis).toContain(`${ids.done}.main.1.1`);
    expect(model.requests.at(-1)?.authorization).toBe(`Bearer ${secrets.model}`);
    expect(receiver.bodies[0]?.headers.authorization).toBe(`Bearer ${secrets.collector}`);

    const found = Object.entries({ ...secrets, apiKey, operatorKey }).flatMap(([name, secret]) =>
      Object.entries(places).flatMap(([place, text]) => (text.includes(secret) ? [`${name} in ${place}`] : [])),
    );
    expect(found).toEqual([]);
    expect(places.redis).toContain("Incorrect API key provided: [redacted]");
  });

  test("what a user wrote is in the log of the workflow, and in no job, trace, metric or line of a process", async () => {
    const logs = await textIn(join(fleet.ready.dataDir, "logs"));
    const traces = receiver.bodies.map(({ body }) => body.toString()).join();
    for (const text of [logs, traces, metrics]) expect(text).not.toContain(written);
    const commands = (await textIn(redis.dir)).split(/\r\n(?=\*\d+\r\n\$)/);
    const keys = commands.filter((command) => command.includes(written)).map((command) => command.split("\r\n")[4]);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => !key?.startsWith("{s"))).toEqual([]);
  });
});
