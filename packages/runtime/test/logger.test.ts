import * as runtime from "@flotilla/runtime";
import { createLogger, createRedact, withLogFields } from "@flotilla/runtime";
import { expect, test } from "vitest";
import { z } from "zod";

function collect(level: "debug" | "info" = "info") {
  const lines: string[] = [];
  const logger = createLogger({ role: "api", level, stream: { write: (line) => void lines.push(line) } });
  return { logger, lines, text: () => lines.join("") };
}

test("every line names the role, and lines below the level are not written", () => {
  const { logger, lines } = collect();
  logger.debug("quiet");
  logger.info({ workflowId: "wf_1" }, "hello");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", role: "api", workflowId: "wf_1", msg: "hello" });
});

test("a line has the fields of the work that it is about", async () => {
  const { logger, lines } = collect();
  await withLogFields({ workflowId: "wf_1" }, async () => {
    await withLogFields({ taskId: "a", attempt: 2 }, async () => logger.info({ attempt: 3 }, "within"));
    logger.info("between");
  });
  logger.info("without");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { workflowId: "wf_1", taskId: "a", attempt: 3 },
    { workflowId: "wf_1" },
    { msg: "without" },
  ]);
  expect(lines[1]).not.toContain("taskId");
  expect(lines[2]).not.toContain("workflowId");
});

test("an error says what it is and why, and nothing that a library has hung on it", () => {
  const { logger, lines } = collect();
  const cause = Object.assign(new Error("refused"), { statusCode: 429, requestBodyValues: { prompt: "private" } });
  const error = Object.assign(new Error("failed", { cause }), { code: "E1", command: { args: ["private"] } });
  logger.error({ err: new AggregateError([error], "all failed") });
  expect(lines[0]).not.toContain("private");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    err: {
      type: "AggregateError",
      errors: [{ message: "failed", code: "E1", cause: { message: "refused", statusCode: 429 } }],
    },
  });
});

test("the secrets of the configuration never reach a line, whoever quotes them", () => {
  const config = {
    OPENAI_API_KEY: 'sk-"quoted"',
    REDIS_URL: "redis://:p%40ssw0rd@redis:6379",
    OTEL_EXPORTER_OTLP_HEADERS: { "x-team": "k3y-of-team" },
    REDIS_PASSWORD: undefined,
    FLOTILLA_PROBE: true,
  };
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ role: "agent", level: "info", redact: createRedact(config), stream });
  logger.info({ err: new Error('the key sk-"quoted" is wrong') }, "p@ssw0rd or p%40ssw0rd");
  logger.info({ deep: { deeper: { deepest: { "x-Api-Key": "of somebody else", keys: 3 } } } }, "with k3y-of-team");
  const text = lines.join("");
  expect(text).not.toMatch(/quoted|ssw0rd|somebody else|k3y-of-team/);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: "[redacted] or [redacted]" },
    { deep: { deeper: { deepest: { "x-Api-Key": "[redacted]", keys: 3 } } } },
  ]);
});

test("every variable that is told to be a key or a password is known as a secret", () => {
  const secret = /key|password|passphrase|token/i;
  const named = Object.entries(runtime)
    .filter(([name]) => name.endsWith("Environment"))
    .flatMap(([, environment]) => (environment instanceof z.ZodObject ? Object.keys(environment.shape) : []))
    // Of these the name says what is not secret: where a key is, by what it is known, and what models count in.
    .filter(
      (name) => secret.test(name) && !/FINGERPRINT|ADAPTER_TLS_KEY|IDEMPOTENCY|TOKENS_PER_MINUTE|TOKENS$/.test(name),
    );
  const leaking = named.filter((name) => createRedact({ [name]: "s3cret-value" })("s3cret-value") !== "[redacted]");
  expect(named.length).toBeGreaterThan(5);
  expect(leaking).toEqual([]);
});

test("secrets never reach a line, as fields, in headers, in URLs or in the text of an error", () => {
  const { logger, text } = collect();
  logger.info({ password: "s3cret", redis: { password: "s3cret" } });
  logger.info({ apiKey: "s3cret", req: { headers: { authorization: "Bearer s3cret" } } });
  logger.info({ url: "redis://user:s3cret@redis:6379" }, "connecting to rediss://:s3cret@redis");
  logger.error({ err: new Error("cannot reach https://u:s3cret@host/v1 with Bearer s3cret") });
  expect(text()).not.toContain("s3cret");
  expect(text()).toContain("redis:6379");
});
