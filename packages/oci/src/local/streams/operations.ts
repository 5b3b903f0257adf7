import { randomUUID } from "node:crypto";
import { z } from "zod";
import { type Call, invalid, jsonOf, numberOf, type Operation, pathOf, Refusal, type Reply } from "../wire.ts";
import { type Cursor, cursorIn, cursorText } from "./cursor.ts";
import type { Group } from "./group.ts";
import type { PlacedMessage, Start, Stream } from "./stream.ts";
import type { Streams } from "./streams.ts";

/** Keys and values of one request, decoded; the limit of OCI for a request and for a message. */
const maxPutBytes = 1024 * 1024;
const maxMessages = 10_000;
const defaultTimeoutMs = 30_000;

const base64 = z.base64();
const PutMessages = z.object({
  messages: z
    .array(z.object({ key: base64.nullish(), value: base64 }))
    .min(1)
    .max(maxMessages),
});
const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const cursorType = z.enum(["TRIM_HORIZON", "LATEST", "AT_OFFSET", "AFTER_OFFSET", "AT_TIME"]);
const CreateCursor = z.object({
  partition: z.string().regex(/^\d+$/).transform(Number),
  type: cursorType,
  offset: z.int().min(0).optional(),
  time: time.optional(),
});
const CreateGroupCursor = z.object({
  type: z.enum(["TRIM_HORIZON", "LATEST", "AT_TIME"]),
  time: time.optional(),
  groupName: z.string().regex(/^[\w.-]{1,256}$/),
  instanceName: z.string().max(256).optional(),
  timeoutInMs: z.int().min(1000).max(3_600_000).default(defaultTimeoutMs),
  commitOnGet: z.boolean().default(true),
});
const UpdateGroup = z.object({
  type: z.enum(["TRIM_HORIZON", "LATEST", "AT_TIME"]).default("LATEST"),
  time: time.optional(),
});
const CreateStream = z.object({
  name: z.string().regex(/^[\w.-]{1,256}$/),
  partitions: z.int().min(1).max(200),
  compartmentId: z.string().default("local"),
  retentionInHours: z.int().min(24).max(168).default(24),
});

/** What the operations need beside the streams. */
export interface StreamContext {
  streams: Streams;
  /** Address of this server, which streams name as the place of their messages. */
  endpoint: () => string;
  now: () => number;
}

/** The operations of Streaming that Flotilla calls, under their names there. */
export function streamOperations({ streams, endpoint, now }: StreamContext): Operation[] {
  const root = "/20180418/streams";
  const one = `${root}/{stream}`;
  const streamOf = (call: Call) => streams.find(pathOf(call, "stream"));
  const groupCursor = (call: Call, stream: Stream): Extract<Cursor, { kind: "group" }> => {
    const cursor = cursorIn(call.query.get("cursor"), stream.facts.id, now());
    if (cursor.kind !== "group") throw invalid("the cursor is not that of a group");
    return cursor;
  };

  return [
    {
      name: "ListStreams",
      method: "GET",
      pattern: root,
      answer({ query }) {
        const wanted = streams.all.filter(({ facts }) => (query.get("name") ?? facts.name) === facts.name);
        return { status: 200, body: wanted.map((stream) => describe(stream, endpoint())) };
      },
    },
    {
      name: "CreateStream",
      method: "POST",
      pattern: root,
      async answer(call) {
        const stream = await streams.create(jsonOf(call, CreateStream));
        return { status: 200, headers: { etag: stream.facts.id }, body: describe(stream, endpoint()) };
      },
    },
    {
      name: "GetStream",
      method: "GET",
      pattern: one,
      answer: (call) => ({ status: 200, body: describe(streamOf(call), endpoint()) }),
    },
    {
      name: "PutMessages",
      method: "POST",
      pattern: `${one}/messages`,
      body: "unsigned",
      async answer(call) {
        const stream = streamOf(call);
        const { messages } = jsonOf(call, PutMessages);
        const bytes = messages.reduce((sum, { key, value }) => sum + decodedBytes(key) + decodedBytes(value), 0);
        if (bytes > maxPutBytes) throw invalid(`keys and values of a request have at most ${maxPutBytes} bytes`);
        const throttled = new Set(call.fault?.kind === "throttle-entries" ? call.fault.entries : []);
        const wanted = messages.map(({ key, value }) => ({ key: key ?? null, value }));
        const placed = (
          await stream.put(
            wanted.filter((_, index) => !throttled.has(index)),
            now(),
          )
        ).values();
        const entries = wanted.map((_, index) =>
          throttled.has(index) ? throttledEntry : entryOf(placed.next().value),
        );
        return { status: 200, body: { failures: throttled.size, entries } };
      },
    },
    {
      name: "GetMessages",
      method: "GET",
      pattern: `${one}/messages`,
      async answer(call) {
        const stream = streamOf(call);
        const limit = numberOf(call.query, "limit", maxMessages, 1, maxMessages);
        const cursor = cursorIn(call.query.get("cursor"), stream.facts.id, now());
        if (cursor.kind === "group") return readGroup(stream, groupOf(stream, cursor.group), cursor, limit, now());
        const messages = await stream.read(cursor.partition, cursor.offset, limit);
        return messagesReply(stream, messages, { ...cursor, at: now(), offset: cursor.offset + messages.length });
      },
    },
    {
      name: "CreateCursor",
      method: "POST",
      pattern: `${one}/cursors`,
      async answer(call) {
        const stream = streamOf(call);
        const { partition, ...rest } = jsonOf(call, CreateCursor);
        const offset = stream.offsetOf(partition, startOf(rest));
        return cursorReply({ kind: "partition", stream: stream.facts.id, at: now(), partition, offset });
      },
    },
    {
      name: "CreateGroupCursor",
      method: "POST",
      pattern: `${one}/groupCursors`,
      async answer(call) {
        const stream = streamOf(call);
        const { groupName, instanceName, timeoutInMs, commitOnGet, ...rest } = jsonOf(call, CreateGroupCursor);
        const instance = instanceName ?? randomUUID();
        const group = await stream.groupFrom(groupName, startOf(rest));
        group.join(instance, { timeoutMs: timeoutInMs, commitOnGet }, now());
        const place = { stream: stream.facts.id, group: groupName, instance, positions: {}, last: -1 };
        return cursorReply({ kind: "group", at: now(), ...place });
      },
    },
    {
      name: "ConsumerCommit",
      method: "POST",
      pattern: `${one}/commit`,
      async answer(call) {
        const stream = streamOf(call);
        const cursor = groupCursor(call, stream);
        const group = groupOf(stream, cursor.group);
        group.touch(cursor.instance, now());
        group.commit(cursor.instance, cursor.positions);
        await stream.saveGroups();
        return cursorReply({ ...cursor, at: now() });
      },
    },
    {
      name: "ConsumerHeartbeat",
      method: "POST",
      pattern: `${one}/heartbeat`,
      answer(call) {
        const stream = streamOf(call);
        const cursor = groupCursor(call, stream);
        groupOf(stream, cursor.group).touch(cursor.instance, now());
        return cursorReply({ ...cursor, at: now() });
      },
    },
    {
      name: "GetGroup",
      method: "GET",
      pattern: `${one}/groups/{group}`,
      answer(call) {
        const stream = streamOf(call);
        return { status: 200, body: groupOf(stream, pathOf(call, "group")).describe(stream.facts.id) };
      },
    },
    {
      name: "UpdateGroup",
      method: "PUT",
      pattern: `${one}/groups/{group}`,
      async answer(call) {
        const stream = streamOf(call);
        const start = startOf(jsonOf(call, UpdateGroup));
        groupOf(stream, pathOf(call, "group")).reset(stream.offsetsOf(start));
        await stream.saveGroups();
        return { status: 204 };
      },
    },
  ];
}

/** Reads from the partition after the one that was read last, so that a busy one does not hide the others. */
async function readGroup(
  stream: Stream,
  group: Group,
  cursor: Extract<Cursor, { kind: "group" }>,
  limit: number,
  now: number,
): Promise<Reply> {
  const member = group.touch(cursor.instance, now);
  if (member.commitOnGet) {
    group.commit(cursor.instance, cursor.positions);
    await stream.saveGroups();
  }
  const positions = group.positions(cursor.instance, cursor.positions);
  const inTurn = [...positions].toSorted(([a], [b]) => turn(a, cursor.last) - turn(b, cursor.last));
  for (const [partition, position] of inTurn) {
    const messages = await stream.read(partition, position.next, limit);
    if (messages.length === 0) continue;
    positions.set(partition, { ...position, next: position.next + messages.length });
    return messagesReply(stream, messages, {
      ...cursor,
      at: now,
      positions: Object.fromEntries(positions),
      last: partition,
    });
  }
  return messagesReply(stream, [], { ...cursor, at: now, positions: Object.fromEntries(positions) });
}

function turn(partition: number, last: number): number {
  return partition > last ? partition - last : partition + Number.MAX_SAFE_INTEGER / 2;
}

function groupOf(stream: Stream, name: string): Group {
  const group = stream.group(name);
  if (!group)
    throw new Refusal(404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.");
  return group;
}

function startOf({
  type,
  offset,
  time,
}: {
  type: Start["type"];
  offset?: number | undefined;
  time?: number | undefined;
}): Start {
  switch (type) {
    case "TRIM_HORIZON":
    case "LATEST":
      return { type };
    case "AT_OFFSET":
    case "AFTER_OFFSET":
      if (offset === undefined) throw invalid(`${type} needs an offset`);
      return { type, offset };
    case "AT_TIME":
      if (time === undefined) throw invalid("AT_TIME needs a time");
      return { type, time };
  }
}

function messagesReply(stream: Stream, messages: readonly PlacedMessage[], next: Cursor): Reply {
  const body = messages.map(({ partition, offset, key, value, at }) => ({
    stream: stream.facts.id,
    partition: String(partition),
    key,
    value,
    offset,
    timestamp: new Date(at).toISOString(),
  }));
  return { status: 200, headers: { "opc-next-cursor": cursorText(next) }, body };
}

function cursorReply(cursor: Cursor): Reply {
  return { status: 200, body: { value: cursorText(cursor) } };
}

const throttledEntry = { error: "429", errorMessage: "TooManyRequests: the partition takes no more for now" };

function entryOf(message: PlacedMessage | undefined): object {
  if (!message) return throttledEntry;
  const { partition, offset, at } = message;
  return { partition: String(partition), offset, timestamp: new Date(at).toISOString() };
}

function decodedBytes(text: string | null | undefined): number {
  return text === null || text === undefined ? 0 : Buffer.byteLength(text, "base64");
}

function describe({ facts }: Stream, messagesEndpoint: string): object {
  const { createdAt: timeCreated, ...rest } = facts;
  const streamPoolId = "ocid1.streampool.oc1.local.default";
  return { ...rest, timeCreated, streamPoolId, messagesEndpoint, lifecycleState: "ACTIVE" };
}
