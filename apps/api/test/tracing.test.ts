import { parseConfig, Tracing, tracingEnvironment, tracingSettings } from "@flotilla/runtime";
import { OtlpReceiver } from "@flotilla/testkit";
import { expect, onTestFinished, test } from "vitest";
import { as, keys, submitted, testApi } from "./api.ts";

const caller = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

async function rig() {
  const receiver = await OtlpReceiver.start();
  const config = parseConfig(tracingEnvironment, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  });
  const tracing = new Tracing(tracingSettings(config, "api"), () => undefined);
  await tracing.start();
  const api = testApi({ tracer: tracing });
  onTestFinished(async () => void (await Promise.all([api.app.close(), receiver.stop()])));
  return { api, receiver, tracing };
}

test("a request is a span that goes on with the trace of its caller, and what is stored for it goes on from there", async () => {
  const { api, receiver, tracing } = await rig();
  let active: string | undefined;
  const { submit } = api.store;
  api.store.submit = (...given) => {
    active = tracing.active();
    return submit.apply(api.store, given);
  };
  const headers = as(keys.acme, { traceparent: caller });
  await api.app.inject({
    method: "POST",
    url: "/v1/workflows?a=b",
    headers,
    payload: { input: "x", agent: "research" },
  });
  await tracing.stop();
  const span = receiver.named("POST /v1/workflows");
  expect(span).toMatchObject({
    traceId: "0123456789abcdef0123456789abcdef",
    parentSpanId: "0123456789abcdef",
    kind: 2,
    attributes: {
      "http.request.method": "POST",
      "http.route": "/v1/workflows",
      "http.response.status_code": 202,
      "url.path": "/v1/workflows",
    },
  });
  expect(active).toBe(`00-${span.traceId}-${span.spanId}-01`);
});

test("no key is in a span", async () => {
  const { api, receiver, tracing } = await rig();
  await api.app.inject({ method: "GET", url: "/v1/workflows", headers: as("s3cret-key") });
  await tracing.stop();
  expect(receiver.named("GET /v1/workflows").attributes["http.response.status_code"]).toBe(401);
  expect(receiver.bodies.map(({ body }) => body.toString()).join()).not.toContain("s3cret-key");
});

test("what is logged while a request is handled names its workflow and its trace", async () => {
  const { api, tracing } = await rig();
  const id = await submitted(api);
  api.store.get = () => Promise.reject(new Error("broken"));
  await api.app.inject({ url: `/v1/workflows/${id}`, headers: as(keys.acme, { traceparent: caller }) });
  await tracing.stop();
  const line = api
    .logged()
    .split("\n")
    .find((text) => text.includes("a request failed"));
  expect(JSON.parse(line ?? "{}")).toMatchObject({ workflowId: id, traceId: "0123456789abcdef0123456789abcdef" });
});
