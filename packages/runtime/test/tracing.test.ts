import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  noTracer,
  parseConfig,
  resourceAttributes,
  spanAttributes,
  Tracing,
  tracingEnvironment,
  tracingSettings,
} from "@flotilla/runtime";
import { OtlpReceiver, until } from "@flotilla/testkit";
import * as conventions from "@opentelemetry/semantic-conventions/incubating";
import { expect, onTestFinished, test } from "vitest";
import { createLogger } from "../src/logger.ts";

const caller = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

async function rig(variables: Record<string, string> = {}) {
  const receiver = await OtlpReceiver.start();
  onTestFinished(() => receiver.stop());
  const config = parseConfig(tracingEnvironment, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "10",
    ...variables,
  });
  const troubles: string[] = [];
  const tracing = new Tracing(tracingSettings(config, "api"), (problem) => troubles.push(problem));
  await tracing.start();
  onTestFinished(() => tracing.stop());
  return { receiver, tracing, troubles };
}

test("every name of a convention is one that the package of the conventions has", () => {
  const known = new Set<unknown>(Object.values(conventions));
  const ours = [...Object.values(spanAttributes), ...Object.values(resourceAttributes)];
  expect(ours.filter((name) => !known.has(name))).toEqual([]);
});

test("what is done within a span, and what is resumed elsewhere, are its children in one trace", async () => {
  const { receiver, tracing } = await rig({ OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=a%20test" });
  const root = tracing.begin("root", { kind: "server" }, caller);
  await tracing.within(root, async () => {
    await tracing.run("inner", { attributes: { [spanAttributes.inputTokens]: 3, nothing: undefined } }, async () => {});
  });
  await tracing.resume(root.traceparent, "elsewhere", {}, async (span) => {
    expect(tracing.active()).toBe(span.traceparent);
  });
  root.end();
  await tracing.stop();
  expect(receiver.spans.map(({ traceId }) => traceId)).toEqual(Array(3).fill("0123456789abcdef0123456789abcdef"));
  expect(receiver.named("root")).toMatchObject({ parentSpanId: "0123456789abcdef", kind: 2, service: "flotilla-api" });
  expect(receiver.path(receiver.named("inner"))).toEqual(["root", "inner"]);
  expect(receiver.named("inner").attributes).toEqual({ [spanAttributes.inputTokens]: 3 });
  expect(receiver.path(receiver.named("elsewhere"))).toEqual(["root", "elsewhere"]);
});

test("nothing begins a trace but a request: work without one is done and not traced", async () => {
  const { receiver, tracing } = await rig();
  expect(await tracing.run("alone", {}, async () => 1)).toBe(1);
  expect(await tracing.resume(undefined, "lost", {}, async () => 2)).toBe(2);
  expect(await tracing.resume("nonsense", "lost", {}, async () => 3)).toBe(3);
  tracing.begin("request", {}).end();
  await tracing.stop();
  expect(receiver.spans.map(({ name }) => name)).toEqual(["request"]);
});

test("a failure is told by its kind and never by its words", async () => {
  const { receiver, tracing } = await rig();
  const root = tracing.begin("root", {});
  const failing = tracing.resume(root.traceparent, "work", {}, async () => {
    throw Object.assign(new Error("the password is s3cret"), { code: "EPASS" });
  });
  await expect(failing).rejects.toThrow("s3cret");
  await tracing.stop();
  expect(receiver.named("work")).toMatchObject({ attributes: { "error.type": "EPASS" }, status: { code: 2 } });
  expect(receiver.bodies.map(({ body }) => body.toString()).join()).not.toContain("s3cret");
});

test("what the sampler leaves out is left out by every process that goes on from it", async () => {
  const { receiver, tracing } = await rig({
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0",
  });
  const root = tracing.begin("root", {});
  expect(root.traceparent).toMatch(/-00$/);
  await tracing.resume(root.traceparent, "work", {}, async () => {});
  root.end();
  const kept = tracing.begin("of a caller who records", {}, caller);
  kept.end();
  await tracing.stop();
  expect(receiver.spans.map(({ name }) => name)).toEqual(["of a caller who records"]);
});

test("spans go as protobuf unless asked otherwise, with the headers that were given", async () => {
  const { receiver, tracing } = await rig({
    OTEL_EXPORTER_OTLP_PROTOCOL: "",
    OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=s%2C3, x-team=fleet",
  });
  tracing.begin("a span", {}).end();
  await until(() => receiver.bodies.length > 0);
  const [{ headers, body } = { headers: {}, body: Buffer.alloc(0) }] = receiver.bodies;
  expect(headers).toMatchObject({ "content-type": "application/x-protobuf", "x-api-key": "s,3", "x-team": "fleet" });
  expect(body.includes("a span")).toBe(true);
});

test("a collector that is away costs no work, and is told of", async () => {
  const { receiver, tracing, troubles } = await rig({ OTEL_EXPORTER_OTLP_TIMEOUT: "50" });
  await receiver.stop().then(() => (receiver.stop = async () => {}));
  const root = tracing.begin("root", {});
  expect(await tracing.resume(root.traceparent, "work", {}, async () => "done")).toBe("done");
  await until(() => troubles.length > 0);
});

test("lines of the log that are written within a span name it", async () => {
  const { tracing } = await rig();
  const lines: string[] = [];
  const logger = createLogger({ role: "api", level: "info", stream: { write: (line) => void lines.push(line) } });
  const root = tracing.begin("root", {}, caller);
  tracing.within(root, () => logger.info("within"));
  logger.info("without");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ traceId: "0123456789abcdef0123456789abcdef", msg: "within" });
  expect(JSON.parse(lines[1] ?? "")).not.toHaveProperty("traceId");
});

test.each([
  [{}],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", OTEL_SDK_DISABLED: "true" }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", OTEL_TRACES_EXPORTER: "none" }],
])("nothing is traced with %j, and a trace is handed on all the same", async (variables) => {
  expect(tracingSettings(parseConfig(tracingEnvironment, variables), "api")).toBeUndefined();
  expect(await noTracer.resume(caller, "work", {}, async (span) => span.traceparent)).toBe(caller);
});

test.each([
  { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
  { OTEL_EXPORTER_OTLP_HEADERS: "nonsense" },
  { OTEL_EXPORTER_OTLP_HEADERS: "key=%" },
  { OTEL_TRACES_SAMPLER_ARG: "2" },
])("%j is refused", (variables) => {
  expect(() => parseConfig(tracingEnvironment, variables)).toThrow("bad configuration");
});

const program = `
  import { registerHooks } from "node:module";
  const asked = [];
  registerHooks({ resolve: (name, context, next) => (name.startsWith("@opentelemetry/sdk") && asked.push(name), next(name, context)) });
  const { Tracing } = await import("@flotilla/runtime");
  await new Tracing(undefined, () => {}).start();
  console.log(asked.length);
  const settings = { url: "http://127.0.0.1:1", protocol: "http/json", headers: {}, sampler: "always_off", resource: {}, maxWaiting: 1 };
  await new Tracing(settings, () => {}).start();
  console.log(asked.length > 0);
  process.exit(0);
`;

test("a process that traces nothing does not load OpenTelemetry", async () => {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd });
  // The second line says that the look would have found it.
  expect(stdout.trim().split("\n")).toEqual(["0", "true"]);
});
