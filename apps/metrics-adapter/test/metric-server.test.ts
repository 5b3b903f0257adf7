import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:https";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { createLogger } from "@flotilla/runtime";
import { type Certificate, hasOpenssl, TestAuthority } from "@flotilla/testkit/certificates";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchClientAuthority } from "../src/client-authority.ts";
import type { Source } from "../src/external-metrics.ts";
import { MetricServer } from "../src/metric-server.ts";

const hasKubectl = spawnSync("kubectl", ["version", "--client"]).status === 0;
const api = "/apis/external.metrics.k8s.io/v1beta1";
const describeTls = hasOpenssl ? describe : describe.skip;

class FakeFleet implements Source {
  isAway = false;

  async loads() {
    if (this.isAway) throw new Error("Connection is closed.");
    return [
      { agentType: "research", backlog: 42, workers: 2 },
      { agentType: "review", backlog: 0, workers: 0 },
    ];
  }

  async activeWorkflows() {
    if (this.isAway) throw new Error("Connection is closed.");
    return 7;
  }
}

describeTls(`the metrics adapter${hasOpenssl ? "" : " (skipped: no openssl on PATH)"}`, () => {
  let folder: string;
  let serving: TestAuthority;
  let front: TestAuthority;
  let controller: Certificate;
  let server: MetricServer;
  const fleet = new FakeFleet();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-adapter-"));
    serving = new TestAuthority(folder, "serving");
    front = new TestAuthority(folder, "front-proxy");
    controller = front.issue("front-proxy-client");
    const { certFile, keyFile } = serving.issue("metrics-adapter");
    server = new MetricServer({
      host: "127.0.0.1",
      port: 0,
      certFile,
      keyFile,
      authority: async () => ({ ca: front.certificate, names: ["front-proxy-client"] }),
      source: fleet,
      logger: createLogger({ role: "test", level: "silent" }),
    });
    await server.start();
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  /** As the aggregation layer sends it: the client's certificate, and whom it speaks for in headers. */
  async function get(path: string, client: Partial<Certificate> = controller, method = "GET") {
    const { cert, key } = client;
    const headers = { "x-remote-user": "system:serviceaccount:kube-system:horizontal-pod-autoscaler" };
    const options = { ca: serving.certificate, host: "127.0.0.1", port: server.port, path, method, headers, cert, key };
    const asked = request({ ...options, agent: false });
    asked.end();
    const [response] = await once(asked, "response");
    return { status: response.statusCode as number, body: JSON.parse(await text(response)) };
  }

  test("is discovered as an API server asks: groups, group, resources", async () => {
    const version = { groupVersion: "external.metrics.k8s.io/v1beta1", version: "v1beta1" };
    const group = { name: "external.metrics.k8s.io", versions: [version], preferredVersion: version };
    expect(await get("/apis")).toMatchObject({ status: 200, body: { kind: "APIGroupList", groups: [group] } });
    expect(await get("/apis/external.metrics.k8s.io")).toMatchObject({
      status: 200,
      body: { kind: "APIGroup", ...group },
    });
    const { status, body } = await get(api);
    expect({ status, ...body }).toMatchObject({
      status: 200,
      kind: "APIResourceList",
      apiVersion: "v1",
      groupVersion: "external.metrics.k8s.io/v1beta1",
      resources: [
        { name: "flotilla_queue_backlog", namespaced: true, kind: "ExternalMetricValueList", verbs: ["get"] },
        { name: "flotilla_active_workflows", namespaced: true, kind: "ExternalMetricValueList", verbs: ["get"] },
      ],
    });
  });

  test("gives an autoscaler what its selector chooses, as quantities", async () => {
    const path = `${api}/namespaces/flotilla/flotilla_queue_backlog?labelSelector=agent_type%3Dresearch`;
    const { status, body } = await get(path);
    expect(status).toBe(200);
    expect(body).toEqual({
      kind: "ExternalMetricValueList",
      apiVersion: "external.metrics.k8s.io/v1beta1",
      metadata: {},
      items: [
        {
          metricName: "flotilla_queue_backlog",
          metricLabels: { agent_type: "research" },
          timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
          value: "42",
        },
      ],
    });
    const active = await get(`${api}/namespaces/flotilla/flotilla_active_workflows`);
    expect(active.body.items).toMatchObject([{ metricLabels: {}, value: "7" }]);
    const none = await get(`${api}/namespaces/flotilla/flotilla_queue_backlog?labelSelector=agent_type%3Dnone`);
    expect(none).toMatchObject({ status: 200, body: { items: [] } });
  });

  test.each([
    ["a metric that is not there", 404, `${api}/namespaces/x/constructor`, "GET"],
    ["another API", 404, "/apis/custom.metrics.k8s.io/v1beta1", "GET"],
    ["a selector that is none", 400, `${api}/namespaces/x/flotilla_queue_backlog?labelSelector=a%20b`, "GET"],
    ["a write", 405, `${api}/namespaces/x/flotilla_queue_backlog`, "POST"],
  ])("refuses %s with %i and a Status", async (_, code, path, method) => {
    expect(await get(path, controller, method)).toMatchObject({ status: code, body: { kind: "Status", code } });
  });

  test("says that it does not know while Redis is away, and never that there is nothing to do", async () => {
    fleet.isAway = true;
    try {
      const answer = await get(`${api}/namespaces/flotilla/flotilla_queue_backlog`);
      expect(answer).toMatchObject({ status: 503, body: { kind: "Status", reason: "ServiceUnavailable" } });
    } finally {
      fleet.isAway = false;
    }
  });

  test("answers nobody but the API server of the cluster", async () => {
    await expect(get(api, {})).rejects.toThrow();
    await expect(get(api, serving.issue("front-proxy-client"))).rejects.toThrow();
    expect(await get(api, front.issue("somebody"))).toMatchObject({ status: 403, body: { reason: "Forbidden" } });
    expect((await get(api)).status).toBe(200);
  });

  test("learns from the API server by which certificate that calls", async () => {
    const asked: unknown[] = [];
    const { cert, key } = serving.issue("kubernetes");
    const cluster = createServer({ cert, key }, ({ url, headers }, response) => {
      asked.push([url, headers.authorization]);
      const data = {
        "requestheader-client-ca-file": front.certificate,
        "requestheader-allowed-names": '["front-proxy-client"]',
      };
      response.end(JSON.stringify({ kind: "ConfigMap", data }));
    }).listen(0, "127.0.0.1");
    await once(cluster, "listening");
    const address = cluster.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const url = new URL(`https://127.0.0.1:${port}`);
    const found = await fetchClientAuthority({ url, ca: serving.certificate, token: "token", namespace: "flotilla" });
    cluster.closeAllConnections();
    cluster.close();
    expect(found).toEqual({ ca: front.certificate, names: ["front-proxy-client"] });
    const path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    expect(asked).toEqual([[path, "Bearer token"]]);
  });

  test.skipIf(!hasKubectl)("a real kubectl reads it", { timeout: 60_000 }, async () => {
    const path = `${api}/namespaces/flotilla/flotilla_queue_backlog?labelSelector=agent_type%3Dresearch`;
    const files = [
      `--certificate-authority=${serving.certificateFile}`,
      `--client-certificate=${controller.certFile}`,
      `--client-key=${controller.keyFile}`,
    ];
    const kubeconfig = { env: { PATH: process.env.PATH, HOME: folder, KUBECONFIG: join(folder, "none") } };
    const kubectl = (...args: string[]) =>
      promisify(execFile)("kubectl", [`--server=https://127.0.0.1:${server.port}`, ...files, ...args], kubeconfig);
    const { stdout } = await kubectl("get", "--raw", path);
    expect(JSON.parse(stdout)).toMatchObject({ items: [{ metricLabels: { agent_type: "research" }, value: "42" }] });
    const discovered = await kubectl("api-resources", "--api-group=external.metrics.k8s.io", "-o", "name");
    expect(discovered.stdout.split("\n")).toContain("flotilla_queue_backlog.external.metrics.k8s.io");
  });
});
