import { EventView, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { callerOf } from "../authentication.ts";
import { eventView, sendEventStream, wantsEventStream } from "../event-stream.ts";
import { parse } from "../parse.ts";
import { EventParameters, LastEventHeader } from "../query.ts";
import { found, idOf, WorkflowParams } from "./workflows.ts";

const EventPage = z.object({
  events: z.array(EventView),
  next: z.int().exactOptional().meta({ description: "value of `after` for the next page; absent on the last one" }),
});

/** What the event routes need. */
export interface EventRoutes {
  store: Pick<WorkflowStore, "events" | "follow">;
  heartbeatMs: number;
}

/** The log of a workflow, as pages and as a stream. */
export function eventRoutes(app: FastifyInstance, { store, heartbeatMs }: EventRoutes): void {
  const streams = new Set<AbortController>();
  app.addHook("preClose", async () => streams.forEach((stream) => stream.abort()));

  app.route({
    method: "GET",
    url: "/workflows/:id/events",
    config: {
      doc: {
        id: "getEvents",
        summary: "Read the log of a workflow, or follow it as server-sent events",
        params: WorkflowParams,
        query: EventParameters,
        headers: { "Last-Event-ID": "on a stream: the last event seen; goes before `after`" },
        answers: {
          200: {
            description: "A page, or the events as they happen and `event: end` after the last",
            content: { "application/json": EventPage, "text/event-stream": z.string() },
          },
        },
        problems: ["invalid-body", "not-found"],
      },
    },
    handler: async (request, reply) => {
      const { id } = idOf(WorkflowParams, request.params);
      const { after, limit } = parse(EventParameters, request.query, "/query");
      if (!wantsEventStream(request)) return page(callerOf(request).tenant, id, after, limit);
      const { "last-event-id": lastSeen } = parse(LastEventHeader, request.headers, "/headers");
      return stream(request, reply, id, lastSeen ?? after);
    },
  });

  async function page(tenant: string, id: string, after: number, limit: number): Promise<z.infer<typeof EventPage>> {
    const { events, ended } = found(await store.events(tenant, id, after, limit));
    const last = events.at(-1);
    const mayHaveMore = last !== undefined && !ended && events.length >= limit;
    return { events: events.map(eventView), ...(mayHaveMore && { next: last.seq }) };
  }

  async function stream(
    request: FastifyRequest,
    reply: FastifyReply,
    id: string,
    after: number,
  ): Promise<FastifyReply> {
    const stop = new AbortController();
    streams.add(stop);
    reply.raw.once("close", () => {
      streams.delete(stop);
      stop.abort();
    });
    const batches = found(await store.follow(callerOf(request).tenant, id, after, stop.signal));
    await sendEventStream(reply, { batches, heartbeatMs, signal: stop.signal });
    return reply;
  }
}
