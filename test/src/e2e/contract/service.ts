import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Fleet } from "../fleet.ts";
import { planOf, probe, run, together } from "../plans.ts";
import { Wire } from "../wire.ts";

const OpenApi = z.looseObject({
  openapi: z.string().startsWith("3.1."),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({ responses: z.record(z.string(), z.looseObject({ description: z.string() })) }),
    ),
  ),
});

/** Metrics by the process that has them. */
const metricNames = {
  api: ["process_cpu_user_seconds_total"],
  supervisor: [
    "flotilla_queue_depth",
    "flotilla_queue_oldest_age_seconds",
    "flotilla_queue_backlog",
    "flotilla_active_workflows",
    "flotilla_due_lag_seconds",
    "flotilla_workflow_duration_seconds_count",
    "flotilla_recovery_operations_total",
  ],
  agent: ["flotilla_agent_executions_total", "flotilla_task_duration_seconds_count"],
  redis: [],
  oci: [],
};

/** What operators and machines ask: health, metrics, the description, the board. */
export function theServiceIsDescribed(fleet: () => Fleet): void {
  const wire = () => new Wire(fleet().ready);

  describe("service", () => {
    test("health and readiness need no key, on the API and on every process", async () => {
      for (const path of ["/health", "/ready"]) {
        expect((await wire().call(`GET ${path}`, { key: null })).status).toBe(200);
        for (const { role, metricsUrl } of fleet().ready.processes) {
          // The API has them where its calls are.
          if (metricsUrl !== undefined && role !== "api")
            expect((await fetch(new URL(path, metricsUrl))).status).toBe(200);
        }
      }
    });

    test("every process but Redis has metrics under the promised names", async () => {
      const fail = [{ attempt: 1, class: "transient" }];
      await run(fleet(), planOf(together("p", [probe("a", { fail }, { retry: { attempts: 2, backoffMs: 1 } })])));
      for (const { role, metricsUrl } of fleet().ready.processes) {
        if (role === "redis") continue;
        const response = await fetch(metricsUrl ?? "none");
        const text = await response.text();
        expect([response.status, response.headers.get("content-type")]).toEqual([
          200,
          expect.stringContaining("text/plain"),
        ]);
        const samples = new Set(
          Array.from(text.matchAll(/^([a-z_]+)(?:\{[^}]*\})? [-+0-9.eEInfNa]+$/gm), ([, name]) => name),
        );
        expect([...samples], role).toEqual(expect.arrayContaining(metricNames[role]));
        if (role === "agent") expect(text).toMatch(/flotilla_agent_executions_total\{.*agent_type="probe".*\} [1-9]/);
        // Ids as labels would grow without bound.
        expect(text).not.toMatch(/wf_[0-9a-z]{2}_/);
      }
      expect((await wire().call("GET /metrics", { key: null })).status).not.toBe(200);
    });

    test("the description is OpenAPI 3.1 and every reference in it leads somewhere", async () => {
      const { status, json, text } = await wire().call("GET /openapi.json", { key: null });
      expect(status).toBe(200);
      const { paths } = OpenApi.parse(json);
      expect(Object.keys(paths)).toEqual(
        expect.arrayContaining([
          "/v1/workflows",
          "/v1/workflows/{id}",
          "/v1/workflows/{id}/tasks/{taskId}",
          "/v1/workflows/{id}/artifacts",
          "/v1/workflows/{id}/artifacts/{name}",
          "/v1/workflows/{id}/events",
          "/v1/workflows/{id}/cancel",
          "/v1/workflows/{id}/retry",
          "/v1/workflows/{id}/fork",
          "/v1/agents",
          "/health",
          "/ready",
        ]),
      );
      for (const [, ref = ""] of text.matchAll(/"\$ref":"([^"]+)"/g)) expect(at(json, ref), ref).toBeDefined();
    });

    test("the board is for operators", async () => {
      const { apiKey, operatorKey } = fleet().ready;
      const asked = [null, apiKey, operatorKey].map((key) => wire().call("GET /queues/", { key }));
      expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([401, 403, 200]);
      const queues = await wire().call("GET /queues/api/queues", { key: operatorKey });
      expect(queues.text).toContain("agent.probe");
      const pause = await wire().call("PUT /queues/api/queues/agent.probe/pause", { key: operatorKey });
      expect(pause.status).toBe(405);
    });

    test("the agents are described with their workers", async () => {
      const agents = await fleet().client.agents();
      expect(agents.find(({ type }) => type === "probe")).toMatchObject({ workers: 1, backlog: expect.any(Number) });
    });
  });
}

/** The value at a reference such as `#/components/schemas/Task`. */
function at(root: unknown, ref: string): unknown {
  return ref
    .split("/")
    .slice(1)
    .reduce((value: unknown, key) => Object(value)[key.replaceAll("~1", "/").replaceAll("~0", "~")], root);
}
