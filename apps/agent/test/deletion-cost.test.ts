import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createLogger, type KubernetesApi } from "@flotilla/runtime";
import { until } from "@flotilla/testkit";
import { hasOpenssl, TestAuthority } from "@flotilla/testkit/certificates";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DeletionCost } from "../src/deletion-cost.ts";

const describeTls = hasOpenssl ? describe : describe.skip;
const annotation = "controller.kubernetes.io/pod-deletion-cost";

/** Of an API server, as much as the workers of one namespace speak to: merge patches of pods, with a token, over TLS. */
class FakeCluster {
  readonly pods = new Map<string, Record<string, string>>();
  readonly requests: string[] = [];
  /** What it answers instead, while that is set. */
  refuses: number | undefined;
  readonly #server: Server;
  readonly #ca: string;

  constructor({ cert, key, ca }: { cert: string; key: string; ca: string }) {
    this.#ca = ca;
    this.#server = createServer({ cert, key }, (request, response) => void this.#answer(request, response));
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = "", headers } = request;
    this.requests.push(`${method} ${url}`);
    const [, name = ""] = /^\/api\/v1\/namespaces\/fleet\/pods\/([^/]+)$/.exec(url) ?? [];
    const annotations = this.pods.get(name);
    let status = this.refuses ?? 200;
    if (headers.authorization !== "Bearer token") status = 401;
    else if (headers["content-type"] !== "application/merge-patch+json") status = 415;
    else if (!annotations || method !== "PATCH") status = 404;
    if (status === 200) Object.assign(annotations ?? {}, JSON.parse(await text(request)).metadata.annotations);
    response.writeHead(status).end("{}");
  }

  api = async (): Promise<KubernetesApi> => {
    const address = this.#server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    return { url: new URL(`https://127.0.0.1:${port}`), ca: this.#ca, token: "token", namespace: "fleet" };
  };

  /** The pods that a ReplicaSet takes away when it shrinks by so many: those with the least cost, 0 where none is written. */
  deletedBy(count: number): string[] {
    const cost = (name: string) => Number(this.pods.get(name)?.[annotation] ?? 0);
    return [...this.pods.keys()].toSorted((a, b) => cost(a) - cost(b)).slice(0, count);
  }
}

describeTls(`the deletion cost of a pod${hasOpenssl ? "" : " (skipped: no openssl on PATH)"}`, () => {
  let folder: string;
  let secrets: { cert: string; key: string; ca: string };
  let cluster: FakeCluster;
  let costs: DeletionCost[];
  const lines: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-cost-"));
    const authority = new TestAuthority(folder, "cluster");
    secrets = { ...authority.issue("kubernetes"), ca: authority.certificate };
  });
  beforeEach(async () => {
    cluster = new FakeCluster(secrets);
    costs = [];
    lines.length = 0;
    await cluster.start();
  });
  afterEach(async () => {
    for (const cost of costs) await cost.stop();
    cluster.stop();
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function worker(pod: string, runningTasks: () => number): Promise<void> {
    const logger = createLogger({ role: "test", level: "silent" });
    logger.warn = (_: object, line?: string) => void lines.push(line ?? "");
    const cost = new DeletionCost({ pod, api: cluster.api, runningTasks, logger, everyMs: 10, restMs: 30 });
    costs.push(cost);
    await cost.start();
  }

  const written = (pod: string) => cluster.pods.get(pod)?.[annotation];

  test("is the number of its tasks, so that those without work go first", async () => {
    const tasks: Record<string, number> = { "agent-a": 3, "agent-b": 0, "agent-c": 1, "agent-d": 0 };
    for (const pod of Object.keys(tasks)) cluster.pods.set(pod, {});
    // Kubernetes takes any where nothing is written.
    expect(cluster.deletedBy(2)).toContain("agent-a");
    for (const [pod, count] of Object.entries(tasks)) {
      await worker(pod, () => tasks[pod] ?? count);
    }
    await until(() => Object.entries(tasks).every(([pod, count]) => written(pod) === String(count)));
    expect(cluster.deletedBy(2).toSorted()).toEqual(["agent-b", "agent-d"]);
    Object.assign(tasks, { "agent-a": 0, "agent-b": 2 });
    await until(() => written("agent-a") === "0" && written("agent-b") === "2");
    expect(cluster.deletedBy(2).toSorted()).toEqual(["agent-a", "agent-d"]);
  });

  test("is written once while it does not change, over what an earlier container of the pod has left", async () => {
    cluster.pods.set("agent-a", { [annotation]: "7" });
    cluster.pods.set("clock", {});
    let ticks = 0;
    await worker("agent-a", () => 0);
    await worker("clock", () => (ticks += 1));
    await until(() => Number(written("clock")) > 5);
    expect(written("agent-a")).toBe("0");
    expect(cluster.requests.filter((one) => one.endsWith("/agent-a"))).toHaveLength(1);
  });

  test("that is refused is logged once, and written when it is taken again", async () => {
    cluster.pods.set("agent-a", {});
    cluster.refuses = 403;
    await worker("agent-a", () => 2);
    await until(() => cluster.requests.length > 2);
    expect(lines).toEqual(["the deletion cost is not written"]);
    cluster.refuses = undefined;
    await until(() => written("agent-a") === "2");
  });
});
