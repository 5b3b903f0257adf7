import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { EventView, WorkflowEvent } from "@flotilla/workflow";
import type { FastifyReply, FastifyRequest } from "fastify";

/** A line of the log as clients get it. */
export function eventView({ seq, type, at, ...rest }: WorkflowEvent): EventView {
  return { seq, type, at: new Date(at).toISOString(), ...rest };
}

/** Whether the client asks for server-sent events. */
export function wantsEventStream(request: FastifyRequest): boolean {
  const accepted = request.headers.accept?.split(",") ?? [];
  return request.method === "GET" && accepted.some((range) => range.split(";", 1)[0]?.trim() === "text/event-stream");
}

/** What a stream needs beside its events. */
export interface EventStreamOptions {
  batches: AsyncIterable<WorkflowEvent[]>;
  heartbeatMs: number;
  /** Aborted when the client is gone or the process stops. */
  signal: AbortSignal;
}

/**
 * Sends the events as they come, and `event: end` after the last. A stream that breaks off without `end` is to be
 * resumed with `Last-Event-ID`: that is how a client outlives a restart of this process and an outage of the store.
 */
export async function sendEventStream(reply: FastifyReply, options: EventStreamOptions): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) raw.setHeader(name, value);
  }
  raw.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store, no-transform",
    // Proxies of the nginx family hold back what they may buffer.
    "x-accel-buffering": "no",
  });
  raw.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!raw.writableNeedDrain) raw.write(":\n\n");
  }, options.heartbeatMs);
  try {
    await sendBatches(raw, options);
  } catch (error) {
    if (!options.signal.aborted) reply.log.warn({ err: error }, "an event stream broke off");
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}

async function sendBatches(raw: ServerResponse, { batches, signal }: EventStreamOptions): Promise<void> {
  for await (const batch of batches) {
    const hasRoom = raw.write(batch.map(frame).join(""));
    if (!hasRoom) await once(raw, "drain", { signal });
  }
  // Without data a browser would not dispatch it.
  if (!signal.aborted) raw.write("event: end\ndata: {}\n\n");
}

function frame(event: WorkflowEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(eventView(event))}\n\n`;
}
