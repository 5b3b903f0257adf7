import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { OciClients, OciFailure } from "@flotilla/oci";
import { StoreUnavailableError } from "@flotilla/workflow";
import { expect, onTestFinished, test, vi } from "vitest";
import { Rig } from "./rig.ts";

const patience = { attemptMs: 5000, attempts: 3, budgetMs: 20_000 };

function getNamespace(clients: OciClients, given: Partial<typeof patience> = {}, signal?: AbortSignal) {
  const call = { operation: "GetNamespace", patience: { ...patience, ...given } };
  return clients.objectStorage({ ...call, send: (client) => client.getNamespace({}) }, signal);
}

async function failure(work: Promise<unknown>): Promise<OciFailure> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof StoreUnavailableError && thrown.cause instanceof OciFailure) return thrown.cause;
  if (!(thrown instanceof OciFailure)) throw new Error("it did not fail as it should", { cause: thrown });
  return thrown;
}

test.each([
  ["a 429", { kind: "refuse", status: 429, code: "TooManyRequests" }],
  ["a 500", { kind: "refuse", status: 500, code: "InternalServerError" }],
  ["a 503", { kind: "refuse", status: 503, code: "ServiceUnavailable" }],
  ["a 409 that says that another is at it", { kind: "refuse", status: 409, code: "IncorrectState" }],
  ["a reset", { kind: "reset" }],
  ["a reply that was lost", { kind: "lose-reply" }],
] as const)("%s is tried again", async (_, fault) => {
  const rig = await Rig.start();
  rig.local.faults.inject(fault);
  expect((await getNamespace(rig.clients())).value).toBe("local");
  expect(rig.local.calls.get("GetNamespace")).toBe(2);
});

test.each([
  ["400", "refused"],
  ["401", "unauthenticated"],
  ["404", "missing"],
  ["412", "conflict"],
])("a %s is not, and is told as %s", async (status, kind) => {
  const rig = await Rig.start();
  rig.local.faults.inject({ kind: "refuse", status: Number(status), code: "Wrong" });
  expect(await failure(getNamespace(rig.clients()))).toMatchObject({
    kind,
    operation: "GetNamespace",
    status: Number(status),
    serviceCode: "Wrong",
    requestId: expect.stringMatching(/^[0-9A-F]{32}$/),
    message: "GetNamespace: as the test wanted it",
  });
  expect(rig.local.calls.get("GetNamespace")).toBe(1);
});

test("attempts are counted, and the last failure is told", async () => {
  const rig = await Rig.start();
  rig.local.faults.inject({ kind: "refuse", status: 503, code: "ServiceUnavailable" }, { times: Infinity });
  expect(await failure(getNamespace(rig.clients()))).toMatchObject({ kind: "unavailable", status: 503 });
  expect(rig.local.calls.get("GetNamespace")).toBe(3);
});

test("a service that is away is told as a store that is, which callers wait for", async () => {
  const rig = await Rig.start();
  const clients = rig.clients();
  await rig.local.stop();
  await expect(getNamespace(clients, { attempts: 1 })).rejects.toBeInstanceOf(StoreUnavailableError);
});

test("Retry-After is waited for, and nothing is tried when it is more than there is time for", async () => {
  const rig = await Rig.start();
  const clients = rig.clients();
  await getNamespace(clients);
  rig.local.faults.inject({ kind: "refuse", status: 429, code: "TooManyRequests", retryAfterSeconds: 1 });
  const began = performance.now();
  await getNamespace(clients);
  expect(performance.now() - began).toBeGreaterThan(990);
  rig.local.faults.inject({ kind: "refuse", status: 429, code: "TooManyRequests", retryAfterSeconds: 60 });
  expect(await failure(getNamespace(clients))).toMatchObject({ kind: "throttled", retryAfterMs: 60_000 });
});

test("a server that takes the request and is silent is left at the deadline, and its connection ended", async () => {
  const silent = createServer();
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  // A server that listens on TCP has an address and a port.
  const { port } = silent.address() as AddressInfo;
  const rig = await Rig.start();
  const endpoints = { objectStorage: `http://127.0.0.1:${port}` };
  const clients = new OciClients({ ...rig.settings(), endpoints });
  const [socket, told] = await Promise.all([
    once(silent, "connection").then(([socket]: unknown[]) => socket),
    failure(getNamespace(clients, { attemptMs: 300, attempts: 1 })),
  ]);
  expect(told).toMatchObject({ kind: "unavailable", message: "GetNamespace: no answer within 300 ms" });
  await expect.poll(() => (socket as { destroyed: boolean }).destroyed).toBe(true);
});

test("nobody listening is told as an error with its cause, and not as a plain object", async () => {
  const rig = await Rig.start();
  const clients = rig.clients();
  await rig.local.stop();
  const told = await failure(getNamespace(clients, { attempts: 1 }));
  expect(told).toMatchObject({ kind: "unavailable", cause: { code: "ECONNREFUSED" } });
});

test("an abort ends a call under way, and one that waits for its next attempt, with its reason", async () => {
  const rig = await Rig.start();
  const clients = rig.clients();
  await getNamespace(clients);
  rig.local.faults.inject({ kind: "delay", ms: 20_000 });
  const first = new AbortController();
  const underWay = getNamespace(clients, {}, first.signal);
  await expect.poll(() => rig.local.calls.get("GetNamespace")).toBe(2);
  first.abort(new Error("enough"));
  await expect(underWay).rejects.toThrow("enough");
  rig.local.faults.clear();

  rig.local.faults.inject({ kind: "refuse", status: 429, code: "TooManyRequests", retryAfterSeconds: 15 });
  const second = new AbortController();
  const waiting = getNamespace(clients, {}, second.signal);
  await expect.poll(() => rig.local.calls.get("GetNamespace")).toBe(3);
  second.abort(new Error("enough too"));
  await expect(waiting).rejects.toThrow("enough too");
});

test("ten failures in a row open no circuit breaker, and nothing is written to the console", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  const rig = await Rig.start();
  const clients = rig.clients();
  rig.local.faults.inject({ kind: "refuse", status: 503, code: "ServiceUnavailable" }, { times: 15 });
  for (let call = 0; call < 15; call++) await failure(getNamespace(clients, { attempts: 1 }));
  expect((await getNamespace(clients)).value).toBe("local");
  expect(warn).not.toHaveBeenCalled();
});

test("a region or an endpoint must be known, and a missing configuration file is told", async () => {
  const rig = await Rig.start();
  const nowhere = new OciClients({
    ...rig.settings(),
    credentials: { kind: "local", file: "/nowhere/config", profile: "DEFAULT" },
  });
  await expect(getNamespace(nowhere)).rejects.toThrow("/nowhere/config");
});
