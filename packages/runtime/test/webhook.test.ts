import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Delivery } from "@flotilla/workflow";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { callbackProblem, isPublicAddress } from "../src/webhook/callback-address.ts";
import { signatureOf, tenantSecret } from "../src/webhook/signature.ts";
import { Webhook } from "../src/webhook/webhook.ts";

const secret = "a-secret-of-the-fleet-for-this-test";
const never = new AbortController().signal;
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** A receiver on this machine; its port, and what came. */
async function receiver(answer: RequestListener): Promise<{ port: number; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  closing.push(() => (server.closeAllConnections(), server.close()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, requests };
}

function delivery(url: string): Delivery {
  const links = { self: "/v1/workflows/w", events: "/v1/workflows/w/events" };
  const data = { id: "w", seq: 7, status: "completed" as const, links };
  return {
    id: "w-7",
    tenant: "acme",
    url,
    body: { type: "workflow.completed", timestamp: "2026-01-01T00:00:00.000Z", data },
  };
}

test("a signature is the one that Standard Webhooks gives as its example", () => {
  const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: '{"test": 2432232314}' };
  const given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  expect(signatureOf(message, [given])).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  expect(signatureOf({ ...message, body: '{"test": 2432232315}' }, [given])).not.toContain("g0hM9SsE");
});

test("no tenant has the secret of another, and none that of the fleet", () => {
  const secrets = [tenantSecret(secret, "acme"), tenantSecret(secret, "other"), tenantSecret(`${secret}2`, "acme")];
  expect(new Set(secrets).size).toBe(3);
  for (const one of secrets) expect(one).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
});

describe("an address is public only where all the internet has it", () => {
  test.each([
    ["127.0.0.1"],
    ["10.0.0.1"],
    ["172.16.0.1"],
    ["192.168.1.1"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["0.0.0.0"],
    ["192.0.0.192"],
    ["168.63.129.16"],
    ["::"],
    ["::1"],
    ["fe80::1"],
    ["fd00:ec2::254"],
    ["::ffff:169.254.169.254"],
    ["::ffff:a9fe:a9fe"],
    ["64:ff9b::a9fe:a9fe"],
    ["2002:a9fe:a9fe::"],
    ["not an address"],
  ])("%s is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each([["1.1.1.1"], ["2606:4700:4700::1111"], ["::ffff:1.1.1.1"]])("%s is", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test("mapped into IPv6, an address is what it was", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(isPublicAddress(`::ffff:${address}`)).toBe(isPublicAddress(address));
      }),
    );
  });
});

test.each([
  ["http://example.com/", /https/],
  ["ftp://example.com/", /https/],
  ["https://user:pass@example.com/", /password/],
  ["https://127.0.0.1/", /public/],
  ["https://2130706433/", /public/],
  ["https://0x7f.1/", /public/],
  ["https://[::ffff:127.0.0.1]/", /public/],
  ["https://169.254.169.254/opc/v2/", /public/],
  [`https://example.com/${"x".repeat(2048)}`, /characters/],
  ["nonsense", /address/],
])("%s is no address for a callback", (url, reason) => {
  expect(callbackProblem(url, [])).toMatch(reason);
});

test("a host that an operator trusts may be anywhere, on the port that was said, and no other may", () => {
  const trusted = [{ host: "127.0.0.1", port: 9000 }, { host: "hooks.intranet" }];
  expect(callbackProblem("http://127.0.0.1:9000/x", trusted)).toBeUndefined();
  expect(callbackProblem("http://hooks.intranet:1234/", trusted)).toBeUndefined();
  expect(callbackProblem("https://example.com/", trusted)).toBeUndefined();
  expect(callbackProblem("http://127.0.0.1:9001/", trusted)).toBeDefined();
  expect(callbackProblem("http://sub.hooks.intranet/", trusted)).toBeDefined();
});

describe("sending", () => {
  test("a receiver gets the body with a signature that its tenant can check", async () => {
    const body: string[] = [];
    const { port, requests } = await receiver((request, response) => {
      request.on("data", (chunk: Buffer) => body.push(chunk.toString())).on("end", () => response.writeHead(204).end());
    });
    const secrets = [secret, `${secret}-that-goes`];
    const webhook = new Webhook({ secrets, trustedHosts: [{ host: "127.0.0.1", port }] });
    const sent = delivery(`http://127.0.0.1:${port}/hook?of=acme`);
    expect(await webhook.send(sent, never)).toEqual({ kind: "delivered" });
    const [{ method, url, headers } = {}] = requests as Partial<IncomingMessage>[];
    expect([method, url]).toEqual(["POST", "/hook?of=acme"]);
    expect(JSON.parse(body.join(""))).toEqual(sent.body);
    const timestamp = Number(headers?.["webhook-timestamp"]);
    const message = { id: "w-7", timestamp, body: body.join("") };
    const derived = secrets.map((one) => tenantSecret(one, "acme"));
    expect(headers?.["webhook-id"]).toBe("w-7");
    expect(headers?.["webhook-signature"]).toBe(signatureOf(message, derived));
    expect(headers?.["webhook-signature"]).toContain(signatureOf(message, derived.slice(0, 1)));
  });

  test("a redirect is an answer that is not followed", async () => {
    const { port, requests } = await receiver((_request, response) => {
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    const webhook = new Webhook({ secrets: [secret], trustedHosts: [{ host: "127.0.0.1" }] });
    const outcome = await webhook.send(delivery(`http://127.0.0.1:${port}/`), never);
    expect(outcome).toEqual({ kind: "failed", reason: "it was answered with 307" });
    expect(requests.map(({ url }) => url)).toEqual(["/"]);
  });

  test("an answer without end is not read", async () => {
    const { port } = await receiver((_request, response) => {
      const pour = () => void (response.write("x".repeat(65_536)) && setImmediate(pour));
      response.writeHead(200).on("drain", pour);
      pour();
    });
    const webhook = new Webhook({ secrets: [secret], trustedHosts: [{ host: "127.0.0.1" }] });
    expect(await webhook.send(delivery(`http://127.0.0.1:${port}/`), never)).toEqual({ kind: "delivered" });
  });

  test("a receiver that is gone says so once and for all, and any other failure is one of now", async () => {
    let status = 410;
    const { port } = await receiver((_request, response) => void response.writeHead(status).end());
    const webhook = new Webhook({ secrets: [secret], trustedHosts: [{ host: "127.0.0.1" }] });
    const url = `http://127.0.0.1:${port}/`;
    expect((await webhook.send(delivery(url), never)).kind).toBe("refused");
    for (status of [400, 401, 404, 500, 503]) {
      expect((await webhook.send(delivery(url), never)).kind).toBe("failed");
    }
  });

  test("a receiver that never answers is left when the process stops", async () => {
    const stopping = new AbortController();
    const { port } = await receiver(() => stopping.abort());
    const webhook = new Webhook({ secrets: [secret], trustedHosts: [{ host: "127.0.0.1" }] });
    expect((await webhook.send(delivery(`http://127.0.0.1:${port}/`), stopping.signal)).kind).toBe("failed");
  });

  test("a name that stands for a private address, also beside a public one, is not connected to", async () => {
    const { port, requests } = await receiver((_request, response) => void response.writeHead(200).end());
    const url = `https://rebound.example.com:${port}/`;
    for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"]) {
      const family = address.includes(":") ? 6 : 4;
      const resolve = async () => [{ address: "1.1.1.1", family: 4 as const }, { address, family } as const];
      const outcome = await new Webhook({ secrets: [secret], trustedHosts: [], resolve }).send(delivery(url), never);
      expect(outcome).toEqual({ kind: "failed", reason: expect.stringContaining("not of the public internet") });
    }
    expect(requests).toEqual([]);
  });

  test("without the guard that name is connected to (control)", async () => {
    const { port, requests } = await receiver((_request, response) => void response.writeHead(200).end());
    const webhook = new Webhook({ secrets: [secret], trustedHosts: [{ host: "localhost" }] });
    expect((await webhook.send(delivery(`http://localhost:${port}/`), never)).kind).toBe("delivered");
    expect(requests).toHaveLength(1);
  });

  test("nothing is sent that cannot be signed, and no reason names what an address may hide", async () => {
    const { port, requests } = await receiver((_request, response) => void response.writeHead(500).end());
    const trustedHosts = [{ host: "127.0.0.1" }];
    const url = `http://127.0.0.1:${port}/?token=hidden`;
    const unsigned = await new Webhook({ secrets: [], trustedHosts }).send(delivery(url), never);
    expect(unsigned).toMatchObject({ kind: "failed", reason: expect.stringContaining("FLOTILLA_CALLBACK_SECRET") });
    expect(requests).toEqual([]);
    const failed = await new Webhook({ secrets: [secret], trustedHosts }).send(delivery(url), never);
    expect(JSON.stringify(failed)).not.toContain("hidden");
  });
});
