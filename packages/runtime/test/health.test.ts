import { type Checks, createMetrics, HealthService } from "@flotilla/runtime";
import { expect, onTestFinished, test } from "vitest";

async function serve(checks?: Checks) {
  const metrics = createMetrics();
  const service = new HealthService({ host: "127.0.0.1", port: 0, metrics, ...(checks && { checks }) });
  await service.start();
  onTestFinished(() => service.stop());
  const get = async (path: string) => {
    const response = await fetch(service.url + path);
    return { status: response.status, text: await response.text() };
  };
  return { service, metrics, get };
}

test("a check that fails, throws or hangs makes its path 503 and leaves the other alone", async () => {
  const { get } = await serve({
    health: { loop: () => ({ ok: true, detail: "12 ms ago" }) },
    ready: {
      redis: () => ({ ok: false, detail: "away" }),
      store: () => Promise.reject(new Error("boom")),
      queue: () => new Promise(() => {}),
    },
  });
  const health = await get("/health");
  expect(health.status).toBe(200);
  expect(JSON.parse(health.text)).toEqual({ ok: true, checks: { loop: { ok: true, detail: "12 ms ago" } } });
  const ready = await get("/ready");
  expect(ready.status).toBe(503);
  expect(JSON.parse(ready.text)).toEqual({
    ok: false,
    checks: {
      redis: { ok: false, detail: "away" },
      store: { ok: false, detail: "boom" },
      queue: { ok: false, detail: "no answer in time" },
    },
  });
});

test("metrics are what this process set, and a fleet-wide gauge is silent until then", async () => {
  const { metrics, get } = await serve();
  expect((await get("/metrics")).text).not.toMatch(/^flotilla_active_workflows /m);
  metrics.activeWorkflows.set(3);
  metrics.agentExecutions.inc({ agent_type: "research", outcome: "completed" });
  const { text } = await get("/metrics");
  expect(text).toMatch(/^flotilla_active_workflows 3$/m);
  expect(text).toMatch(/^flotilla_agent_executions_total\{agent_type="research",outcome="completed"\} 1$/m);
  expect(text).toMatch(/^process_cpu_user_seconds_total /m);
});

test("two processes' metrics in one test do not share a registry", () => {
  expect(createMetrics().registry).not.toBe(createMetrics().registry);
});

test("without checks there are only metrics, and any other path is 404", async () => {
  const { get } = await serve();
  expect((await get("/health")).status).toBe(404);
  expect((await get("/nothing")).status).toBe(404);
});

test("a taken port rejects, and stop is harmless before start and twice", async () => {
  const { service, metrics } = await serve();
  const { url, metricsUrl } = service;
  expect(metricsUrl).toBe(`${url}/metrics`);
  const second = new HealthService({ host: "127.0.0.1", port: Number(new URL(url).port), metrics });
  await second.stop();
  await expect(second.start()).rejects.toThrow("EADDRINUSE");
  await service.stop();
  await service.stop();
  await expect(fetch(url)).rejects.toThrow();
  expect(() => service.url).toThrow("not started");
});
