import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { createLogger, createMetrics, redisSettingsOf, Webhook } from "@flotilla/runtime";
import { describeRealRedis, startRedis, type TestRedis, until } from "@flotilla/testkit";
import type { Notification, WorkflowRequest } from "@flotilla/workflow";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Notifier } from "../src/notify/notifier.ts";
import { fleetShards } from "../src/shards.ts";
import { phase, planOf, task, tenant, TestFleet } from "./fleet.ts";

interface Received {
  id: string;
  path: string;
  body: Notification;
}

const secret = "a-secret-of-the-fleet-for-this-test";

describeRealRedis("callbacks", () => {
  let redis: TestRedis;
  let fleet: TestFleet;
  let server: Server;
  let url: string;
  let target: Webhook;
  let received: Received[] = [];
  let status = 204;

  beforeAll(async () => {
    redis = await startRedis();
    fleet = await TestFleet.start({ redis: redisSettingsOf(redis.url) });
    fleet.acts.set("fail", async () => ({ kind: "failed", error: { class: "data", code: "told", message: "no" } }));
    fleet.acts.set("ask", async ({ claim }) =>
      claim > 1
        ? { kind: "completed", output: null }
        : {
            kind: "asks",
            approval: {
              summary: "may I?",
              detail: { step: "s", action: "pay", arguments: { secret: "of the client" }, argumentsHash: "h" },
            },
          },
    );
    server = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const id = String(request.headers["webhook-id"]);
        received.push({ id, path: request.url ?? "", body: JSON.parse(text) as Notification });
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    target = new Webhook({ secrets: [secret], trustedHosts: [{ host: "127.0.0.1" }] });
  });
  beforeEach(() => {
    received = [];
    status = 204;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await fleet.stop();
    await redis.stop();
  });

  const called = (request: WorkflowRequest, path: string): WorkflowRequest => ({
    ...request,
    callbackUrl: `${url}${path}`,
  });
  const told = (path: string) => received.filter((one) => one.path === path);
  const waiting = () => fleet.connection.zcard("{s00}:notify");

  /** Tells callbacks as a supervisor does, until `work` is done. */
  async function telling(work: () => Promise<unknown>, giveUpAfterMs = 60_000) {
    const metrics = createMetrics();
    const log = new PassThrough();
    const lines: string[] = [];
    log.on("data", (line: Buffer) => lines.push(line.toString()));
    const notifier = new Notifier({
      scripts: fleet.scripts,
      shards: await fleetShards(fleet.connection),
      target,
      giveUpAfterMs,
      metrics,
      logger: createLogger({ role: "test", level: "trace", stream: log }),
    });
    notifier.start();
    try {
      await work();
    } finally {
      await notifier.stop();
    }
    const counted = (await metrics.notifications.get()).values;
    const outcomes = Object.fromEntries(counted.map(({ labels, value }) => [labels.outcome, value]));
    return { outcomes, logged: lines.join("") };
  }

  test("an end is told when whoever decided it has died, in the words of the log and nothing more", async () => {
    // No process tells anything while these run and end: what is to be told is in Redis alone.
    const { id } = await fleet.run(called(planOf(phase("p", [task("a", "of the client")])), "/done"));
    const failed = await fleet.run(called(planOf(phase("p", [task("a", { act: "fail" })])), "/failed"));
    expect(received).toEqual([]);
    await telling(() => until(async () => received.length > 1 && (await waiting()) === 0));
    const [done] = told("/done");
    expect(done?.body).toEqual({
      type: "workflow.completed",
      timestamp: expect.stringMatching(/Z$/),
      data: {
        id,
        seq: expect.any(Number),
        status: "completed",
        links: { self: `/v1/workflows/${id}`, events: `/v1/workflows/${id}/events` },
      },
    });
    expect(done?.id).toBe(`${id}-${done?.body.data.seq}`);
    expect(told("/failed").map(({ body }) => [body.type, body.data.id])).toEqual([["workflow.failed", failed.id]]);
  });

  test("without its place in the set nothing is told (control)", async () => {
    await fleet.run(called(planOf(phase("p", [task("a")])), "/lost"));
    await fleet.connection.del("{s00}:notify");
    const { id } = await fleet.run(called(planOf(phase("p", [task("a")])), "/kept"));
    await telling(() => until(() => told("/kept").length > 0));
    expect(received.map(({ body }) => body.data.id)).toEqual([id]);
  });

  test("a workflow without a callback is never looked at", async () => {
    await fleet.run(planOf(phase("p", [task("a")])));
    expect(await waiting()).toBe(0);
  });

  test("an item that opens is told before the end, each once while all goes well, and without its arguments", async () => {
    await telling(async () => {
      const id = await fleet.submit(called(planOf(phase("p", [task("a", { act: "ask" })])), "/item"));
      const opened = await until(() => told("/item")[0]);
      const item = opened.body.data.item;
      expect(item).toMatchObject({ kind: "approval", summary: "may I?", decisions: ["approve", "deny", "edit"] });
      await fleet.store.inbox.settle(tenant, item?.id ?? "", { decision: "approve" }, "me");
      await fleet.end(id);
      await until(() => told("/item").length > 1);
    });
    expect(told("/item").map(({ body }) => body.type)).toEqual(["item.opened", "workflow.completed"]);
    expect(JSON.stringify(received)).not.toContain("of the client");
  });

  test("a receiver that is away is told again under the same id, in order, by whoever is there", async () => {
    status = 503;
    const { id } = await fleet.run(called(planOf(phase("p", [task("a", { act: "fail" })])), "/away"));
    const first = await telling(() => until(() => told("/away").length > 0));
    const [tried] = told("/away");
    expect(first.outcomes).toMatchObject({ delivered: 0, given_up: 0 });
    fleet.acts.set("fail", async () => ({ kind: "completed", output: 1 }));
    await fleet.store.retry(tenant, id);
    await fleet.end(id);
    status = 204;
    received = [];
    const second = await telling(() => until(async () => received.length > 1 && (await waiting()) === 0));
    expect(told("/away").map(({ body }) => body.type)).toEqual(["workflow.failed", "workflow.completed"]);
    expect(told("/away")[0]?.id).toBe(tried?.id);
    expect(second.outcomes).toMatchObject({ delivered: 2, given_up: 0 });
  });

  test("what cannot be told is given up after its time, loudly and without a secret, and holds up nothing behind it", async () => {
    status = 500;
    const { id } = await fleet.run(called(planOf(phase("p", [task("a")])), "/?token=hidden"));
    const { outcomes, logged } = await telling(
      async () => until(async () => received.length > 0 && (await waiting()) === 0),
      0,
    );
    expect(outcomes).toEqual({ delivered: 0, failed: 0, given_up: 1 });
    expect(logged).toContain(id);
    expect(logged).toContain("given up");
    expect(logged).not.toContain("hidden");
    expect(logged).not.toContain(secret);
    expect(logged).not.toContain("whsec_");
  });

  test("a fork is told of its own end, and not of what its source was told", async () => {
    fleet.acts.set("ask once", async ({ workflowId, claim }) => {
      const again = claim > 1 || workflowId !== source;
      return again ? { kind: "completed", output: null } : askOf;
    });
    const askOf = {
      kind: "asks" as const,
      approval: { summary: "?", detail: { step: "s", action: "a", arguments: null, argumentsHash: "h" } },
    };
    let source = "";
    const request = called(planOf(phase("p", [task("a", { act: "ask once" })])), "/fork");
    source = await fleet.submit(request);
    const types = await until(async () => {
      const all = await fleet.types(source);
      return all.includes("item.opened") ? all : undefined;
    });
    const fromSeq = types.indexOf("item.opened") + 1;
    const outcome = await fleet.store.fork(tenant, source, { fromSeq });
    const fork = outcome?.kind === "stored" ? outcome.id : "";
    await fleet.end(fork);
    await telling(() => until(() => told("/fork").some(({ body }) => body.data.id === fork)));
    const ofFork = told("/fork").filter(({ body }) => body.data.id === fork);
    expect(ofFork.map(({ body }) => body.type)).toEqual(["workflow.completed"]);
  });
});
