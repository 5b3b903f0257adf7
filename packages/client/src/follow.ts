import { EventView } from "@flotilla/workflow";
import { createParser } from "eventsource-parser";
import { UnreachableError } from "./errors.ts";
import { isNetworkFailure, pause, send, type Transport } from "./transport.ts";

/** The service writes a comment every 15 s: silence for three of them is a dead connection that nobody closed. */
const silenceMs = 45_000;
const pauseMs = 200;

export interface Following {
  /** Of the stream: `/v1/workflows/<id>/events`. */
  path: string;
  /** The last event that the caller has. */
  after: number;
  /** How long to try to open a stream again that broke off. */
  reconnectMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * The events after `after` as they happen, until the workflow's last. A dropped connection is opened again behind
 * the last event that was yielded, so none is missed and none comes twice; a service that stays away for
 * `reconnectMs`, or the transport's `retryMs` before the first connection, is an error.
 */
export async function* follow(transport: Transport, following: Following): AsyncGenerator<EventView> {
  const { path, after, reconnectMs, signal } = following;
  let patience = transport;
  let seen = after;
  for (;;) {
    try {
      const body = await open(patience, path, seen, signal);
      patience = { ...transport, retryMs: reconnectMs };
      for await (const message of messages(body)) {
        if (message.event === "end") return;
        const event = EventView.parse(JSON.parse(message.data));
        if (event.seq <= seen) continue;
        // A hole means that this connection lost something; the next one starts behind what we have.
        if (event.seq !== seen + 1) break;
        seen = event.seq;
        yield event;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!isNetworkFailure(error)) throw error;
    }
    await pause(pauseMs, signal);
  }
}

function open(transport: Transport, path: string, seen: number, signal: AbortSignal | undefined) {
  return send(transport, {
    path,
    headers: { accept: "text/event-stream", "last-event-id": String(seen) },
    signal,
    read: ({ body }) => {
      if (!body) throw new UnreachableError(transport.url);
      return body;
    },
  });
}

interface Message {
  event: string | undefined;
  data: string;
}

async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const arrived: Message[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => arrived.push({ event, data }) });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await readOrGiveUp(reader);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* arrived.splice(0);
    }
  } finally {
    // The caller may leave in the middle; a connection that already broke has nothing to cancel.
    await reader.cancel().catch(() => {});
  }
}

/** The next bytes; after `silenceMs` without any, the stream counts as ended. */
async function readOrGiveUp(reader: ReadableStreamDefaultReader<Uint8Array>) {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), silenceMs);
  try {
    return await reader.read();
  } finally {
    clearTimeout(timer);
  }
}
