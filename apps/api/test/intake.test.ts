import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileStreamWriter, createLogger, createMetrics, FileStreamReader } from "@flotilla/runtime";
import { until } from "@flotilla/testkit";
import { type DeadLetter, StoreUnavailableError, type StreamReaderOptions } from "@flotilla/workflow";
import { expect, onTestFinished, test } from "vitest";
import { Intake } from "../src/intake/intake.ts";
import { as, keys, testApi } from "./api.ts";
import { MemoryStore } from "./memory-store.ts";

const logger = createLogger({ role: "test", level: "silent" });
const good = { input: "x", agent: "research" };

/** A stream in a folder, and intakes over a store in memory. */
async function rig() {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-intake-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = new MemoryStore();
  const letters: DeadLetter[] = [];
  const deadLetters = { add: async (letter: DeadLetter) => void letters.push(letter) };
  const metrics = createMetrics();
  const writer = createFileStreamWriter(folder, "orders");
  const send = (...values: (string | object)[]) =>
    writer.append(
      values.map((value) => ({
        key: "k",
        value: Buffer.from(typeof value === "string" ? value : JSON.stringify(value)),
      })),
    );
  const start = async (more: Partial<ConstructorParameters<typeof Intake>[0]> = {}) => {
    const open = (streamId: string, options: StreamReaderOptions) => new FileStreamReader(folder, streamId, options);
    const options = { tenant: "acme", streamId: "orders", open, store, deadLetters, metrics, logger, ...more };
    const intake = new Intake(options);
    await intake.start();
    onTestFinished(() => intake.stop());
    return intake;
  };
  const count = async (outcome: string) =>
    (await metrics.intakeMessages.get()).values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  const ids = async () => (await store.list({ tenant: "acme", limit: 200 }))?.workflows.map(({ id }) => id) ?? [];
  return { folder, store, letters, send, start, count, ids };
}

test("each message is one workflow of the tenant of its stream, and bad ones are noted with their reason", async () => {
  const { letters, send, start, ids, count } = await rig();
  await send(good, "{", { input: 1 }, good, "", { ...good, tenant: "other" });
  await start();
  await until(async () => (await count("stored")) + (await count("dead")) === 6);
  expect(await ids()).toHaveLength(2);
  expect(letters.map(({ code }) => code).toSorted()).toEqual([
    "invalid-body",
    "invalid-body",
    "invalid-json",
    "invalid-json",
  ]);
  const letter = letters.find(({ text }) => text.includes("other"));
  expect(letter).toMatchObject({
    stream: "orders",
    partition: 0,
    tenant: "acme",
    errors: [{ path: "/tenant", code: "unknown-field" }],
  });
});

test("a message that comes again after a death is the same workflow", async () => {
  const { folder, store, send, start, ids, count } = await rig();
  await send(good, good);
  const neverCommits = (streamId: string, options: StreamReaderOptions) => {
    const reader = new FileStreamReader(folder, streamId, { ...options, timeoutMs: 1 });
    return Object.assign(reader, { commit: () => Promise.reject(new Error("away")) });
  };
  const first = await start({ open: neverCommits });
  await until(async () => (await count("stored")) === 2);
  const before = await ids();
  await first.stop();
  const second = await start({ open: neverCommits });
  await until(async () => (await count("repeated")) === 2);
  expect(await ids()).toEqual(before);
  await second.stop();
  // The control: it is the place of the message that tells it apart.
  await start({ store: { submit: (tenant, request) => store.submit(tenant, request), agents: () => store.agents() } });
  await until(async () => (await count("stored")) === 4);
  expect(await ids()).toHaveLength(4);
});

test("while the store is away messages wait, and none is refused or skipped", async () => {
  const { store, letters, send, start, ids, count } = await rig();
  let isAway = true;
  const submit: MemoryStore["submit"] = (...call) =>
    isAway ? Promise.reject(new StoreUnavailableError()) : store.submit(...call);
  await send(good, "{", good);
  await start({ store: { submit, agents: () => store.agents() } });
  await until(async () => (await count("dead")) === 1);
  expect(await ids()).toEqual([]);
  isAway = false;
  await until(async () => (await count("stored")) === 2);
  expect(letters).toHaveLength(1);
});

test("only an operator sees what was refused", async () => {
  const letter = { stream: "s", partition: 0, offset: 7, tenant: "acme", at: new Date(0).toISOString() };
  const rest = { code: "invalid-json", detail: "the body is not JSON", errors: [], bytes: 1, text: "{" };
  const api = testApi({ deadLetters: { list: async (limit) => (limit === 3 ? [{ ...letter, ...rest }] : []) } });
  onTestFinished(() => api.app.close());
  const url = "/v1/intake/dead-letters?limit=3";
  expect((await api.app.inject({ url, headers: as(keys.acme) })).statusCode).toBe(403);
  const answer = await api.app.inject({ url, headers: as(keys.operator) });
  expect(answer.json()).toEqual({ deadLetters: [{ ...letter, ...rest }] });
});
