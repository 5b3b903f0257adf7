import { appendFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createOciStreamWriter, OciStreamReader } from "@flotilla/oci";
import type { LocalOciOptions } from "@flotilla/oci/local";
import { StreamAdminClient, StreamClient, models } from "oci-streaming";
import { expect, onTestFinished, test, vi } from "vitest";
import { Rig } from "./rig.ts";

const { CreateCursorDetails, CreateGroupCursorDetails } = models;
const minutesMs = 60_000;

/** The clients of the SDK as they come, and a stream. */
async function start(partitions = 1, options: Partial<LocalOciOptions> = {}) {
  // It tells of every failure there, also of one that a test wants.
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  const rig = await Rig.start(options);
  const admin = new StreamAdminClient({ authenticationDetailsProvider: rig.provider() });
  admin.endpoint = rig.local.endpoint;
  const createStreamDetails = { name: "events", partitions, compartmentId: "local" };
  const { stream } = await admin.createStream({ createStreamDetails });
  const client = new StreamClient({ authenticationDetailsProvider: rig.provider() });
  client.endpoint = stream.messagesEndpoint;
  onTestFinished(() => {
    admin.close();
    client.close();
  });
  return { rig, admin, client, streamId: stream.id, stream };
}

type Started = Awaited<ReturnType<typeof start>>;

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

async function put({ client, streamId }: Started, ...messages: [key: string, value: string][]) {
  const putMessagesDetails = { messages: messages.map(([key, value]) => ({ key: base64(key), value: base64(value) })) };
  const { putMessagesResult } = await client.putMessages({ streamId, putMessagesDetails });
  return putMessagesResult;
}

async function cursorOf(
  { client, streamId }: Started,
  type: models.CreateCursorDetails.Type,
  more: { offset?: number; time?: Date } = {},
) {
  const createCursorDetails = { partition: "0", type, ...more };
  return (await client.createCursor({ streamId, createCursorDetails })).cursor.value;
}

async function joinGroup(
  { client, streamId }: Started,
  instanceName: string,
  more: Partial<models.CreateGroupCursorDetails> = {},
) {
  const createGroupCursorDetails = {
    groupName: "group",
    instanceName,
    type: CreateGroupCursorDetails.Type.TrimHorizon,
    ...more,
  };
  return (await client.createGroupCursor({ streamId, createGroupCursorDetails })).cursor.value;
}

async function read({ client, streamId }: Started, cursor: string, limit?: number) {
  const { items, opcNextCursor } = await client.getMessages({
    streamId,
    cursor,
    ...(limit !== undefined && { limit }),
  });
  const values = items.map(({ value }) => Buffer.from(value, "base64").toString());
  return { values, offsets: items.map(({ offset }) => offset), items, next: opcNextCursor };
}

function refused(statusCode: number, serviceCode: string) {
  return expect.objectContaining({ statusCode, serviceCode });
}

test("a stream is made, found and listed; one that is not there is not found", async () => {
  const { admin, client, rig, streamId, stream } = await start(3);
  expect(stream).toMatchObject({
    name: "events",
    partitions: 3,
    lifecycleState: "ACTIVE",
    messagesEndpoint: rig.local.endpoint,
  });
  expect((await admin.getStream({ streamId })).stream).toEqual(stream);
  expect((await admin.listStreams({ compartmentId: "local", name: "events" })).items).toHaveLength(1);
  expect((await admin.listStreams({ compartmentId: "local", name: "none" })).items).toEqual([]);
  await expect(admin.getStream({ streamId: "none" })).rejects.toEqual(refused(404, "NotAuthorizedOrNotFound"));
  await expect(client.getMessages({ streamId, cursor: "none" })).rejects.toEqual(refused(400, "InvalidParameter"));
});

test("cursors start where they say", async () => {
  let now = Date.now();
  const started = await start(1, { now: () => now });
  await put(started, ["a", "0"], ["a", "1"]);
  now += 10_000;
  const time = new Date(now);
  await put(started, ["a", "2"], ["a", "3"]);
  const { Type } = CreateCursorDetails;
  const valuesAt = async (cursor: Promise<string>) => (await read(started, await cursor)).values;
  expect(await valuesAt(cursorOf(started, Type.TrimHorizon))).toEqual(["0", "1", "2", "3"]);
  expect(await valuesAt(cursorOf(started, Type.AtOffset, { offset: 1 }))).toEqual(["1", "2", "3"]);
  expect(await valuesAt(cursorOf(started, Type.AfterOffset, { offset: 1 }))).toEqual(["2", "3"]);
  expect(await valuesAt(cursorOf(started, Type.AtTime, { time }))).toEqual(["2", "3"]);
  const latest = await cursorOf(started, Type.Latest);
  await put(started, ["a", "4"]);
  expect((await read(started, latest)).values).toEqual(["4"]);
});

test("a read takes as many as it is told, and the next cursor goes on", async () => {
  const started = await start();
  await put(started, ["a", "0"], ["a", "1"], ["a", "2"]);
  const first = await read(started, await cursorOf(started, CreateCursorDetails.Type.TrimHorizon), 2);
  expect(first).toMatchObject({ values: ["0", "1"], offsets: [0, 1] });
  const second = await read(started, first.next, 2);
  expect(second).toMatchObject({ values: ["2"], offsets: [2] });
  expect((await read(started, second.next)).values).toEqual([]);
});

test("a cursor ends after five minutes", async () => {
  // The signatures are of now, and may be as far off: so the server is behind first, and ahead then.
  let now = Date.now() - 4 * minutesMs;
  const started = await start(1, { now: () => now });
  const cursor = await cursorOf(started, CreateCursorDetails.Type.TrimHorizon);
  now += 4.9 * minutesMs;
  const { next } = await read(started, cursor);
  now += 0.2 * minutesMs;
  await expect(read(started, cursor)).rejects.toEqual(refused(400, "InvalidParameter"));
  expect((await read(started, next)).values).toEqual([]);
});

test("the messages of one key are in one partition, and keys are in all of them", async () => {
  const started = await start(4);
  const keys = Array.from({ length: 40 }, (_, number) => `k${number}`);
  const once = await put(started, ...keys.map((key): [string, string] => [key, "1"]));
  const again = await put(started, ...keys.map((key): [string, string] => [key, "2"]));
  expect(again.entries.map(({ partition }) => partition)).toEqual(once.entries.map(({ partition }) => partition));
  expect(new Set(once.entries.map(({ partition }) => partition)).size).toBe(4);
});

test("a request is taken up to 1 MiB of keys and values, and not beyond", async () => {
  const rig = await Rig.start();
  const streamId = await rig.stream();
  // Theirs looks at each byte of a body to see whether it is empty, and takes seconds.
  const clients = rig.clients();
  const append = (key: string) => {
    const putMessagesDetails = { messages: [{ key: base64(key), value: base64("x".repeat(1024 * 1024 - 1)) }] };
    return clients.stream(streamId, {
      operation: "PutMessages",
      send: (client) => client.putMessages({ streamId, putMessagesDetails }),
    });
  };
  expect((await append("a")).putMessagesResult.failures).toBe(0);
  await expect(append("ab")).rejects.toMatchObject({ kind: "refused", status: 400, serviceCode: "InvalidParameter" });
});

test("without commit-on-get a group goes on from what was committed, with it from what was read before", async () => {
  const started = await start();
  const { client, streamId } = started;
  await put(started, ["a", "0"], ["a", "1"], ["a", "2"]);
  const first = await read(started, await joinGroup(started, "one", { commitOnGet: false }), 1);
  const second = await read(started, first.next, 1);
  expect([...first.values, ...second.values]).toEqual(["0", "1"]);
  await client.consumerCommit({ streamId, cursor: first.next });
  expect((await client.getGroup({ streamId, groupName: "group" })).group.reservations).toEqual([
    expect.objectContaining({ partition: "0", committedOffset: 0, reservedInstance: "one" }),
  ]);
  const other = { groupName: "other" };
  const once = await read(started, await joinGroup(started, "one", other), 1);
  await read(started, once.next, 1);
  expect((await client.getGroup({ streamId, groupName: "other" })).group.reservations?.[0]?.committedOffset).toBe(0);
});

test("partitions are shared by who lives: each has its own, and a heartbeat keeps them", async () => {
  let now = Date.now();
  const started = await start(4, { now: () => now });
  const { client, streamId } = started;
  const held = async () => {
    const { group } = await client.getGroup({ streamId, groupName: "group" });
    return (group.reservations ?? []).map(({ reservedInstance }) => reservedInstance);
  };
  let one = await joinGroup(started, "one", { timeoutInMs: 10_000, commitOnGet: false });
  expect(await held()).toEqual(["one", "one", "one", "one"]);
  const two = await joinGroup(started, "two", { timeoutInMs: 10_000, commitOnGet: false });
  expect((await held()).filter((name) => name === "two")).toHaveLength(2);
  expect((await held()).filter((name) => name === "one")).toHaveLength(2);
  for (let beat = 0; beat < 3; beat++) {
    now += 9000;
    one = (await client.consumerHeartbeat({ streamId, cursor: one })).cursor.value;
  }
  expect(await held()).toEqual(["one", "one", "one", "one"]);
  await expect(client.getMessages({ streamId, cursor: two })).rejects.toEqual(refused(400, "InvalidParameter"));
});

test("a member that lost its partition commits nothing there", async () => {
  let now = Date.now();
  const started = await start(1, { now: () => now });
  const { client, streamId } = started;
  await put(started, ["a", "0"], ["a", "1"]);
  const details = { timeoutInMs: 10_000, commitOnGet: false };
  const slow = await read(started, await joinGroup(started, "slow", details), 1);
  now += 11_000;
  const quick = await read(started, await joinGroup(started, "quick", details), 1);
  expect(quick.values).toEqual(slow.values);
  await joinGroup(started, "slow", details);
  await client.consumerCommit({ streamId, cursor: slow.next });
  expect((await client.getGroup({ streamId, groupName: "group" })).group.reservations?.[0]).not.toHaveProperty(
    "committedOffset",
  );
});

test("messages and commits are there after a restart; a message that was cut off is not", async () => {
  const started = await start();
  const { client, rig, streamId } = started;
  await put(started, ["a", "0"], ["a", "1"]);
  const first = await read(started, await joinGroup(started, "one", { commitOnGet: false }), 1);
  await client.consumerCommit({ streamId, cursor: first.next });
  const [stream = ""] = await readdir(join(rig.folder, "streams"));
  await appendFile(join(rig.folder, "streams", stream, "0.log"), '{"key":"YQ==","value":"');
  await rig.restart();
  expect((await put(started, ["a", "2"])).entries[0]?.offset).toBe(2);
  expect((await read(started, await joinGroup(started, "one", { commitOnGet: false }))).values).toEqual(["1", "2"]);
});

test("our writer: what a partition refuses is sent again, with what came after it under its key", async () => {
  const rig = await Rig.start();
  const streamId = await rig.stream();
  const clients = rig.clients();
  rig.local.faults.inject({ kind: "throttle-entries", entries: [1] }, { operation: "PutMessages" });
  const messages = ["a1", "b1", "a2", "b2"].map((text) => ({ key: text.charAt(0), value: Buffer.from(text) }));
  await createOciStreamWriter(clients, streamId).append(messages);
  const reader = new OciStreamReader(clients, streamId, { group: "group", instance: "one", from: "oldest" });
  onTestFinished(() => reader.close());
  const received = (await reader.receive()).map(({ value }) => Buffer.from(value).toString());
  expect(received).toEqual(["a1", "a2", "b2", "b1", "b2"]);
});

test("our writer: what is refused again and again is told, and a lost reply doubles instead of losing", async () => {
  const rig = await Rig.start();
  const streamId = await rig.stream();
  const clients = rig.clients();
  const writer = createOciStreamWriter(clients, streamId);
  rig.local.faults.inject({ kind: "lose-reply" }, { operation: "PutMessages" });
  await writer.append([{ key: "a", value: Buffer.from("1") }]);
  const reader = new OciStreamReader(clients, streamId, { group: "group", instance: "one", from: "oldest" });
  onTestFinished(() => reader.close());
  expect(await reader.receive()).toHaveLength(2);
});

test("our reader: joins again when its place in the group is gone, and goes on from what it committed", async () => {
  let now = Date.now();
  const rig = await Rig.start({ now: () => now });
  const streamId = await rig.stream();
  const clients = rig.clients();
  const writer = createOciStreamWriter(clients, streamId);
  const reader = new OciStreamReader(clients, streamId, { group: "group", instance: "one", from: "oldest" });
  onTestFinished(() => reader.close());
  await writer.append([{ key: "a", value: Buffer.from("1") }]);
  expect(await reader.receive()).toHaveLength(1);
  await reader.commit();
  await writer.append([{ key: "a", value: Buffer.from("2") }]);
  expect(await reader.receive()).toHaveLength(1);
  // More than its timeout, less than what a signature may be off.
  now += 2 * minutesMs;
  await reader.commit();
  const again = [...(await reader.receive()), ...(await reader.receive())];
  expect(again.map(({ value }) => Buffer.from(value).toString())).toEqual(["2"]);
});
