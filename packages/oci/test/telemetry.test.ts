import { createOciAuditLog, createOciMetricSink, OciClients } from "@flotilla/oci";
import type { Measurement } from "@flotilla/workflow";
import { LoggingClient } from "oci-loggingingestion";
import { MonitoringClient } from "oci-monitoring";
import { describe, expect, test } from "vitest";
import { Rig } from "./rig.ts";

const place = { namespace: "multi_agent", compartmentId: "ocid1.compartment.oc1..local", fleet: "blue" };
const logId = "ocid1.log.oc1.iad.local";
const source = { source: "a-host", type: "flotilla.audit" };

function measured(name: string, value = 1, dimensions: Record<string, string> = {}): Measurement {
  return { name, value, dimensions, at: Date.now() };
}

describe("measurements", () => {
  test("go to Monitoring by their series, each with the fleet as a dimension", async () => {
    const rig = await Rig.start();
    const sink = createOciMetricSink(rig.clients(), place);
    const outcome = await sink.post([
      measured("flotilla_active_workflows", 3),
      measured("flotilla_active_workflows", 4),
      measured("flotilla_queue_backlog", 2, { agent_type: "research", empty: "" }),
      measured("flotilla_task_duration_seconds", Number.NaN),
    ]);
    expect(outcome).toEqual({ kind: "taken" });
    expect(await rig.local.telemetry.series()).toMatchObject([
      {
        namespace: "multi_agent",
        compartmentId: "ocid1.compartment.oc1..local",
        name: "flotilla_active_workflows",
        dimensions: { fleet: "blue" },
        datapoints: [{ value: 3 }, { value: 4 }],
      },
      { name: "flotilla_queue_backlog", dimensions: { fleet: "blue", agent_type: "research" } },
    ]);
    expect(rig.local.unknown).toEqual([]);
  });

  test("go fifty series at a time", async () => {
    const rig = await Rig.start();
    const many = Array.from({ length: 120 }, (_, place) =>
      measured("flotilla_queue_depth", place, { queue: `${place}` }),
    );
    expect(await createOciMetricSink(rig.clients(), place).post(many)).toEqual({ kind: "taken" });
    expect(rig.local.calls.get("PostMetricData")).toBe(3);
    expect(await rig.local.telemetry.series()).toHaveLength(120);
  });

  test.each([
    ["a 429", { kind: "refuse", status: 429, code: "TooManyRequests" }, "later"],
    ["a 503", { kind: "refuse", status: 503, code: "ServiceUnavailable" }, "later"],
    [
      "a 404, until somebody mends the policy",
      { kind: "refuse", status: 404, code: "NotAuthorizedOrNotFound" },
      "later",
    ],
    ["a 400", { kind: "refuse", status: 400, code: "InvalidParameter" }, "lost"],
    ["a reset", { kind: "reset" }, "lost"],
    ["an answer that was lost", { kind: "lose-reply" }, "lost"],
  ] as const)("after %s it is said whether they may be posted again", async (_, fault, kind) => {
    const rig = await Rig.start();
    rig.local.faults.inject(fault);
    const outcome = await createOciMetricSink(rig.clients(), place).post([measured("flotilla_handoffs_total")]);
    expect(outcome).toMatchObject({ kind, reason: expect.stringContaining("PostMetricData") });
    // Monitoring adds up what it is given twice: nothing is tried again here.
    expect(rig.local.calls.get("PostMetricData")).toBe(1);
  });

  test("a service that cannot be reached has taken nothing", async () => {
    const rig = await Rig.start();
    const sink = createOciMetricSink(rig.clients(), place);
    await rig.local.stop();
    expect(await sink.post([measured("flotilla_handoffs_total")])).toMatchObject({ kind: "later" });
  });

  test("what was posted in part is lost for the rest, and not posted twice", async () => {
    const rig = await Rig.start();
    const many = Array.from({ length: 60 }, (_, place) => measured("flotilla_queue_depth", 1, { queue: `${place}` }));
    rig.local.faults.inject({ kind: "delay", ms: 1 });
    rig.local.faults.inject({ kind: "refuse", status: 503, code: "ServiceUnavailable" });
    expect(await createOciMetricSink(rig.clients(), place).post(many)).toMatchObject({ kind: "lost" });
    expect(await rig.local.telemetry.series()).toHaveLength(50);
  });
});

describe("the local Monitoring", () => {
  const client = (rig: Rig) => {
    const made = new MonitoringClient({ authenticationDetailsProvider: rig.provider() });
    made.endpoint = rig.local.endpoint;
    return made;
  };
  const series = (changes: object = {}) => ({
    namespace: "multi_agent",
    compartmentId: "c",
    name: "metric",
    dimensions: { fleet: "blue" },
    datapoints: [{ timestamp: new Date(), value: 1 }],
    ...changes,
  });
  const at = (ms: number) => ({ datapoints: [{ timestamp: new Date(Date.now() + ms), value: 1 }] });

  test.each([
    ["a namespace of Oracle's", { namespace: "oci_compute" }],
    ["a name that is none", { name: "1 metric" }],
    ["no dimension", { dimensions: {} }],
    ["an empty dimension", { dimensions: { fleet: "" } }],
    ["no datapoint", { datapoints: [] }],
    ["a time more than two hours ago", at(-7_300_000)],
    ["a time more than ten minutes ahead", at(700_000)],
  ])("takes what is valid beside %s, and says what was not", async (_, changes) => {
    const rig = await Rig.start();
    const metricData = [series(), series(changes)];
    const { postMetricDataResponseDetails: answer } = await client(rig).postMetricData({
      postMetricDataDetails: { metricData },
    });
    expect(answer).toMatchObject({ failedMetricsCount: 1, failedMetrics: [{ message: expect.any(String) }] });
    expect(await rig.local.telemetry.series()).toHaveLength(1);
  });

  test("refuses a call of more than fifty series", async () => {
    const rig = await Rig.start();
    const metricData = Array.from({ length: 51 }, () => series());
    await expect(client(rig).postMetricData({ postMetricDataDetails: { metricData } })).rejects.toMatchObject({
      statusCode: 400,
    });
  });

  test("keeps what it was given when it is started again", async () => {
    const rig = await Rig.start();
    await client(rig).postMetricData({ postMetricDataDetails: { metricData: [series()] } });
    await rig.restart();
    expect(await rig.local.telemetry.series()).toHaveLength(1);
  });
});

describe("audit lines", () => {
  const line = (id: string, data: string) => ({ id, at: Date.parse("2026-01-02T03:04:05.678Z"), data });

  test("go to Logging with their ids and times, also after a call that failed", async () => {
    const rig = await Rig.start();
    rig.local.faults.inject({ kind: "lose-reply" });
    await createOciAuditLog(rig.clients(), logId, source).write([line("one", "a"), line("two", "b")]);
    const entries = await rig.local.telemetry.entries(logId);
    // The first call was done, and nobody knew: who reads tells lines by their ids.
    expect(entries.map(({ id }) => id)).toEqual(["one", "two", "one", "two"]);
    expect(entries[0]).toEqual({ ...source, id: "one", data: '"a"', time: "2026-01-02T03:04:05.678Z" });
  });

  test("go in calls that are small enough", async () => {
    const rig = await Rig.start();
    const lines = Array.from({ length: 4 }, (_, place) => line(`${place}`, "x".repeat(400_000)));
    await createOciAuditLog(rig.clients(), logId, source).write(lines);
    expect(rig.local.calls.get("PutLogs")).toBe(2);
    expect((await rig.local.telemetry.entries(logId)).map(({ id }) => id)).toEqual(["0", "1", "2", "3"]);
  });

  test("the local Logging refuses what is no log, and an entry that is too large", async () => {
    const rig = await Rig.start();
    const client = new LoggingClient({ authenticationDetailsProvider: rig.provider() });
    client.endpoint = rig.local.endpoint;
    const put = (log: string, data: string) =>
      client.putLogs({
        logId: log,
        putLogsDetails: {
          specversion: "1.0",
          logEntryBatches: [{ ...source, defaultlogentrytime: new Date(), entries: [{ id: "one", data }] }],
        },
      });
    await expect(put("ocid1.bucket.oc1..x", "a")).rejects.toMatchObject({ statusCode: 404 });
    await expect(put(logId, "x".repeat(1_000_001))).rejects.toMatchObject({ statusCode: 400 });
    await put(logId, "a");
  });
});

test("measurements go to the ingestion of the region, which has an address of its own", async () => {
  const rig = await Rig.start();
  const { endpoints: _, ...settings } = rig.settings();
  const clients = new OciClients({ ...settings, region: "eu-frankfurt-1", endpoints: {} });
  let endpoint = "";
  const send = async (client: MonitoringClient) => void (endpoint = client.endpoint);
  await clients.monitoring({ operation: "PostMetricData", send });
  expect(endpoint).toBe("https://telemetry-ingestion.eu-frankfurt-1.oraclecloud.com/20180401");
});
