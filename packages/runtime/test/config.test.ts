import { writeFileSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import {
  agentEnvironment,
  apiEnvironment,
  ociEnvironment,
  ConfigError,
  parseConfig,
  probeEnvironment,
  processEnvironment,
  redisEnvironment,
  redisSettings,
  redisSettingsOf,
  storageEnvironment,
  supervisorEnvironment,
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
      FLOTILLA_INTAKE: [],
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
    [{ REDIS_SENTINELS: "a", REDIS_SENTINEL_MASTER: "m", REDIS_HOST: "b" }, "REDIS_SENTINELS is set beside"],
    [{ REDIS_SENTINELS: "a", REDIS_SENTINEL_MASTER: "m", REDIS_CLUSTER: "1" }, "REDIS_SENTINELS is set beside"],
    [{ REDIS_SENTINELS: "a" }, "REDIS_SENTINELS and REDIS_SENTINEL_MASTER go together"],
    [{ REDIS_SENTINEL_MASTER: "m" }, "REDIS_SENTINELS and REDIS_SENTINEL_MASTER go together"],
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

  test("strategies by agent type and class are JSON, and what is none is refused with its place", () => {
    const read = (tables: string) => parseConfig(supervisorEnvironment, { FLOTILLA_RECOVERY: tables });
    const tables = { research: { unknown: "escalate" }, "*": { critical: "escalate" } };
    expect(read(JSON.stringify(tables)).FLOTILLA_RECOVERY).toEqual(tables);
    for (const [wrong, place] of [
      ["no json", ""],
      ['{"research":{"unknown":"panic"}}', " at research.unknown"],
      ['{"*":{"critical":"retry"}}', " at *.critical"],
      ['{"No Agent":{}}', " at No Agent"],
    ] as const) {
      expect(refusal(() => read(wrong)).join()).toContain(`failure classes and strategies${place} (`);
    }
  });

  test("streams of an intake are a list, each with its tenant and once, and never that of the export", () => {
    const schema = apiEnvironment.extend(ociEnvironment.shape);
    const read = (text: string) => parseConfig(schema, { FLOTILLA_INTAKE: text, OCI_STREAM_ID: "events" });
    expect(read("acme=ocid1.stream.oc1.x, beta=orders").FLOTILLA_INTAKE).toEqual([
      { tenant: "acme", streamId: "ocid1.stream.oc1.x" },
      { tenant: "beta", streamId: "orders" },
    ]);
    for (const wrong of ["orders", "Acme=orders", "acme=", "acme=a/b", "acme=a=b", "acme=a,beta=a"]) {
      expect(refusal(() => read(wrong)).join()).toContain("FLOTILLA_INTAKE must be tenant=stream");
    }
    expect(refusal(() => read("acme=events")).join()).toContain("FLOTILLA_INTAKE names the stream of OCI_STREAM_ID");
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
    const durability = { level: "fast", replicas: 1 };
    expect(settings({})).toEqual({ host: "127.0.0.1", port: 6379, database: 0, cluster: false, durability });
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
      durability: { level: "fast", replicas: 1 },
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
      durability: { level: "fast", replicas: 1 },
    });
  });

  test("sentinels give their nodes and the name of the master, with their usual port", () => {
    const sentinels = { REDIS_SENTINELS: "a:26000, b,[::1]:26001", REDIS_SENTINEL_MASTER: "main" };
    expect(settings({ ...sentinels, REDIS_SENTINEL_PASSWORD: "s", REDIS_PASSWORD: "p" })).toMatchObject({
      host: "a",
      port: 26000,
      password: "p",
      sentinel: {
        nodes: [
          { host: "a", port: 26000 },
          { host: "b", port: 26379 },
          { host: "::1", port: 26001 },
        ],
        master: "main",
        password: "s",
      },
    });
  });

  test.each([",", "a:", "a:0", "a:70000", "a:1:2", "redis://a", "a b"])(
    "what is not a list of sentinels is refused: %j",
    (sentinels) => {
      const environment = { REDIS_SENTINELS: sentinels, REDIS_SENTINEL_MASTER: "main" };
      expect(refusal(() => parseConfig(redisEnvironment, environment)).join()).toContain(
        "REDIS_SENTINELS must be host:port",
      );
    },
  );

  test("a level of durability holds beside any way to name a Redis", () => {
    expect(
      settings({ REDIS_URL: "redis://redis", REDIS_DURABILITY: "strict", REDIS_STRICT_REPLICAS: "2" }),
    ).toMatchObject({ durability: { level: "strict", replicas: 2 } });
  });
});

test.each([
  [{ OCI_METRICS_NAMESPACE: "multi_agent" }, "OCI_METRICS_NAMESPACE is set without"],
  [{ OCI_METRICS_NAMESPACE: "multi_agent", OCI_AUTH: "instance_principal" }, "OCI_METRICS_NAMESPACE is set without"],
  [{ OCI_METRICS_NAMESPACE: "oci_compute" }, "OCI_METRICS_NAMESPACE must be"],
  [{ AUDIT_LOG_OCID: "ocid1.log.oc1.iad.a" }, "AUDIT_LOG_OCID is set without OCI_AUTH"],
  [{ AUDIT_LOG_OCID: "ocid1.bucket.oc1.iad.a" }, "AUDIT_LOG_OCID must be the OCID of a log"],
  [{ OCI_AUTH: "local", AUDIT_LOG_OCID: "ocid1.log.oc1.iad.a" }, "OCI_LOGGING_ENDPOINT is not set"],
  [
    { OCI_AUTH: "local", OCI_METRICS_NAMESPACE: "multi_agent", OCI_COMPARTMENT_ID: "local" },
    "OCI_MONITORING_ENDPOINT is not set",
  ],
])("%j is refused", (environment, problem) => {
  expect(() => parseConfig(ociEnvironment, environment)).toThrow(problem);
});
