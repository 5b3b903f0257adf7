import { writeFileSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import {
  agentEnvironment,
  apiEnvironment,
  ConfigError,
  parseConfig,
  probeEnvironment,
  processEnvironment,
  redisEnvironment,
  redisSettings,
  redisSettingsOf,
  storageEnvironment,
} from "@flotilla/runtime";
import { runFixture } from "./fixtures/run.ts";

function refusal(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("parseConfig", () => {
  test("pieces compose, defaults hold, and the result is frozen", () => {
    const schema = processEnvironment.extend(apiEnvironment.shape).extend(storageEnvironment.shape);
    const config = parseConfig(schema, { PORT: "0", FLOTILLA_RATE_LIMIT: "60" });
    expect(config).toEqual({
      NODE_ENV: "development",
      LOG_LEVEL: "info",
      HOST: "127.0.0.1",
      METRICS_PORT: 9090,
      PORT: 0,
      FLOTILLA_RATE_LIMIT: 60,
      FLOTILLA_IDEMPOTENCY_MS: 86_400_000,
      FLOTILLA_DATA_DIR: resolve(".flotilla"),
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test("an empty value counts as unset", () => {
    expect(parseConfig(apiEnvironment, { PORT: "", FLOTILLA_RATE_LIMIT: "" })).toMatchObject({ PORT: 8080 });
  });

  test("every problem is named at once, with what to do, and no value is repeated", () => {
    const schema = agentEnvironment.extend(redisEnvironment.shape);
    const lines = refusal(() =>
      parseConfig(schema, { AGENT_CONCURRENCY: "0", REDIS_URL: "http://u:hunter2@h", REDIS_TLS_CA: "/no/such/file" }),
    );
    expect(lines).toHaveLength(5);
    expect(lines[0]).toBe("bad configuration:");
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}AGENT_TYPE is not set \(agent type that/));
    expect(lines).toContainEqual(
      "  AGENT_CONCURRENCY must be a whole number from 1 to 1000 (tasks that one worker process runs at once; leave it out for 10)",
    );
    expect(lines).toContainEqual(expect.stringContaining("  REDIS_URL must be a redis:// or rediss:// address"));
    expect(lines).toContainEqual(expect.stringContaining("  REDIS_TLS_CA must name a file that this process can read"));
    expect(lines.join()).not.toContain("hunter2");
  });

  test.each([
    [{ REDIS_URL: "redis://a", REDIS_HOST: "b" }, "REDIS_HOST is set beside REDIS_URL"],
    [{ REDIS_TLS_CERT: import.meta.filename }, "REDIS_TLS_CERT and REDIS_TLS_KEY go together"],
  ])("variables that contradict each other are refused: %j", (environment, problem) => {
    expect(refusal(() => parseConfig(redisEnvironment, environment)).join()).toContain(problem);
  });

  test("the probe is refused in production, and only there", () => {
    const schema = processEnvironment.extend(probeEnvironment.shape);
    const lines = refusal(() => parseConfig(schema, { NODE_ENV: "production", FLOTILLA_PROBE: "1" }));
    expect(lines.join()).toContain("FLOTILLA_PROBE is refused in production");
    expect(parseConfig(schema, { NODE_ENV: "test", FLOTILLA_PROBE: "1" })).toMatchObject({ FLOTILLA_PROBE: true });
    expect(parseConfig(schema, { NODE_ENV: "production" })).toMatchObject({ FLOTILLA_PROBE: false });
    expect(parseConfig(schema, { NODE_ENV: "production", FLOTILLA_PROBE: "0" })).toMatchObject({
      FLOTILLA_PROBE: false,
    });
  });

  test("folders are a list as in PATH, made absolute", () => {
    const config = parseConfig(agentEnvironment, {
      AGENT_TYPE: "research",
      FLOTILLA_DOCS_ROOTS: `/a${delimiter}b${delimiter}`,
    });
    expect(config.FLOTILLA_DOCS_ROOTS).toEqual(["/a", resolve("b")]);
  });
});

test("a main whose configuration is refused prints the list and exits 78", async () => {
  const { ended, stderr } = runFixture("refused");
  expect(await ended).toEqual({ code: 78, signal: null });
  expect(stderr()).toMatch(/^bad configuration:\n {2}AGENT_TYPE is not set/);
});

describe("Redis settings", () => {
  const settings = (environment: Record<string, string>) => redisSettings(parseConfig(redisEnvironment, environment));

  test("nothing set is the Redis of this machine", () => {
    expect(settings({})).toEqual({ host: "127.0.0.1", port: 6379, database: 0, cluster: false });
  });

  test("a URL gives host, port, credentials, database and TLS", () => {
    expect(redisSettingsOf("rediss://user:p%40ss@[::1]:7000/3")).toEqual({
      host: "::1",
      port: 7000,
      username: "user",
      password: "p@ss",
      database: 3,
      tls: {},
      cluster: false,
    });
  });

  test("a password beside the URL completes it", () => {
    expect(settings({ REDIS_URL: "redis://redis", REDIS_PASSWORD: "secret" })).toMatchObject({
      host: "redis",
      password: "secret",
    });
  });

  test("a TLS file turns TLS on and is read at start", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "flotilla-"));
    const file = join(folder.path, "ca.pem");
    writeFileSync(file, "PEM");
    expect(settings({ REDIS_HOST: "redis", REDIS_TLS_CA: file, REDIS_CLUSTER: "1" })).toEqual({
      host: "redis",
      port: 6379,
      database: 0,
      tls: { ca: "PEM" },
      cluster: true,
    });
  });
});
