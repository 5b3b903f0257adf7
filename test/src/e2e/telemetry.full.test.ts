import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";

const auditLog = "ocid1.log.oc1.iad.local";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start({
    args: onlyProbes(2),
    env: { OCI_AUTH: "local", OCI_METRICS_NAMESPACE: "multi_agent", AUDIT_LOG_OCID: auditLog },
  });
});
afterAll(() => fleet.dispose());

/** The lines of a file that the local server keeps. */
async function linesOf<T>(...path: string[]): Promise<T[]> {
  const file = join(fleet.ready.dataDir, "oci", "data", ...path);
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
}

interface Series {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  datapoints: { value: number }[];
}

test("a fleet writes its audit lines to Logging and posts each minute to Monitoring, counted once", async () => {
  const { client } = fleet;
  const ids = await Promise.all(
    ["a", "b", "c"].map(async (output) => (await client.submit({ input: { output }, agent: "probe" })).id),
  );
  await Promise.all(ids.map((id) => client.wait(id)));

  const lines = await until(async () => {
    const found = await linesOf<{ data: string }>("logging", `${auditLog}.jsonl`);
    const told = found.map(({ data }) => JSON.parse(data) as { workflowId: string; type: string });
    return told.length >= 6 ? told : undefined;
  });
  for (const id of ids) {
    const types = new Set(lines.filter(({ workflowId }) => workflowId === id).map(({ type }) => type));
    expect(types).toEqual(new Set(["workflow.submitted", "workflow.completed"]));
  }

  const executions = async () => {
    const posted = await linesOf<Series>("monitoring.jsonl");
    const values = posted
      .filter(
        ({ name, dimensions }) => name === "flotilla_agent_executions_total" && dimensions["outcome"] === "completed",
      )
      .flatMap(({ datapoints }) => datapoints.map(({ value }) => value));
    return { posted, total: values.reduce((sum, value) => sum + value, 0) };
  };
  // Two workers did them, each tells what it counted every ten seconds, and a minute is posted when it is over.
  const { posted, total } = await until(
    async () => {
      const so = await executions();
      return so.total >= 3 && so.posted.some(({ name }) => name === "workflow_duration_p99") ? so : undefined;
    },
    { timeoutMs: 150_000 },
  );
  expect(total).toBe(3);
  expect(new Set(posted.map(({ namespace }) => namespace))).toEqual(new Set(["multi_agent"]));
  expect(posted.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      "flotilla_active_workflows",
      "flotilla_due_lag_seconds",
      "flotilla_queue_backlog",
      "agent_error_rate",
    ]),
  );
}, 240_000);
