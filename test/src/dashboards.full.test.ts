import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { Fleet, onlyProbes } from "./e2e/fleet.ts";
import { describePrometheus, TestPrometheus } from "./prometheus.ts";

const folder = resolve(import.meta.dirname, "../../infra/grafana/dashboards");

const datasource = z.strictObject({ type: z.literal("prometheus"), uid: z.literal("prometheus") });
const Dashboard = z.object({
  uid: z.string(),
  title: z.string(),
  templating: z.object({ list: z.array(z.object({ name: z.string(), definition: z.string(), datasource })) }),
  panels: z.array(
    z.object({
      id: z.int(),
      title: z.string(),
      description: z.string().min(1),
      datasource,
      gridPos: z.strictObject({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
      targets: z.array(z.object({ refId: z.string(), expr: z.string(), datasource })).min(1),
    }),
  ),
});

const dashboards = await Promise.all(
  globSync("*.json", { cwd: folder })
    .toSorted()
    .map(async (file) => ({
      file: basename(file, ".json"),
      dashboard: Dashboard.parse(JSON.parse(await readFile(join(folder, file), "utf8"))),
    })),
);
const queries = dashboards.flatMap(({ file, dashboard }) =>
  dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ file, title, expr }))),
);

/** Of what the fleet of this test does not do, there is nothing to show. */
const isEmpty = /flotilla_model_(tokens|cost_usd)_total/;
/** Whether two supervisors or workers met is chance. */
const mayBeEmpty = /flotilla_fenced_writes_total/;
const isNoNumber = /^handoff_success_rate$/;

/** As Grafana fills it in, with every agent type chosen. */
function filled(expression: string): string {
  return expression.replaceAll("$__rate_interval", "1m").replaceAll("$agent_type", ".*");
}

test("panels have names and numbers of their own, and lie beside each other", () => {
  expect(dashboards.map(({ file }) => file)).toEqual(["agents", "workflows"]);
  for (const { dashboard } of dashboards) {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(dashboard.panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
    const variables = new Set(dashboard.templating.list.map(({ name }) => name));
    const used = [...JSON.stringify(dashboard.panels).matchAll(/\$([a-z]\w*)/g)].map(([, name = ""]) => name);
    expect(used.filter((name) => !variables.has(name))).toEqual([]);
  }
});

describePrometheus("over a Prometheus that has scraped a fleet at work", () => {
  let fleet: Fleet;
  let prometheus: TestPrometheus;

  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes(2) });
    const targets = new Map<string, string[]>();
    for (const { role, metricsUrl } of fleet.ready.processes) {
      if (metricsUrl === undefined) continue;
      targets.set(role, [...(targets.get(role) ?? []), new URL(metricsUrl).host]);
    }
    expect([...targets.keys()].toSorted()).toEqual(["agent", "api", "supervisor"]);
    prometheus = await TestPrometheus.start(targets);
    // A rate needs a look at the counters before they move.
    await until(async () => (await prometheus.query("up")).filter(({ value }) => value === 1).length >= 4);
    const inputs = [
      ...Array.from({ length: 18 }, () => ({ output: 1, sleepMs: 20 })),
      { fail: [{ attempt: 1, class: "transient" }] },
      { fail: [{ attempt: 1, class: "data" }] },
    ];
    const ids = await Promise.all(
      inputs.map(async (input) => (await fleet.client.submit({ agent: "probe", input })).id),
    );
    for (const id of ids) await until(async () => (await fleet.client.get(id)).endedAt !== undefined);
  });
  afterAll(async () => {
    await prometheus?.stop();
    await fleet?.dispose();
  });

  test.each(queries)("$file: $title: $expr", async ({ expr }) => {
    const query = filled(expr);
    if (mayBeEmpty.test(expr)) {
      await prometheus.query(query);
    } else if (isEmpty.test(expr)) {
      expect(await prometheus.query(query)).toEqual([]);
    } else if (isNoNumber.test(expr)) {
      await until(async () => (await prometheus.query(query)).some(({ value }) => Number.isNaN(value)));
    } else {
      await until(async () => (await prometheus.query(query)).some(({ value }) => Number.isFinite(value)));
    }
  });

  test("the variables have values to choose from", async () => {
    for (const { dashboard } of dashboards) {
      for (const { definition } of dashboard.templating.list) {
        const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? [];
        expect(await prometheus.labelValues(metric, label)).toContain("probe");
      }
    }
  });

  test("what is shown is what was done", async () => {
    const value = async (query: string) => (await prometheus.query(query))[0]?.value;
    await until(async () => (await value("sum(flotilla_workflow_duration_seconds_count)")) === 20);
    const executions = (outcome: string) =>
      value(`sum(flotilla_agent_executions_total{agent_type="probe",outcome="${outcome}"})`);
    await until(async () => (await executions("completed")) === 19 && (await executions("failed")) === 2);
    await until(async () => (await value("max(flotilla_active_workflows)")) === 0);
    await until(async () => (await value('sum(flotilla_recovery_operations_total{strategy="retry"})')) === 1);
    expect(await value("agent_error_rate")).toBeGreaterThan(0.01);
  });
});
