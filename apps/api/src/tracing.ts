import { type Span, spanAttributes, type Tracer, withLogFields } from "@flotilla/runtime";
import type { FastifyInstance, FastifyRequest } from "fastify";

const spanDecorator = "span";

/**
 * Makes each request a trace, or a part of that of its caller, and lets what is logged while it is handled name the
 * workflow that it is about. What a caller's `traceparent` says of sampling is for the sampler to weigh.
 */
export function traceRequests(app: FastifyInstance, tracer: Tracer): void {
  app.decorateRequest(spanDecorator, null);
  app.addHook("onRequest", async (request) => {
    const { method } = request;
    const route = request.routeOptions.url;
    const attributes = {
      [spanAttributes.httpMethod]: method,
      [spanAttributes.httpRoute]: route,
      [spanAttributes.urlPath]: request.url.split("?", 1)[0],
      [spanAttributes.urlScheme]: request.protocol,
    };
    const { traceparent } = request.headers;
    const name = route === undefined ? method : `${method} ${route}`;
    const caller = typeof traceparent === "string" ? traceparent : undefined;
    request.setDecorator(spanDecorator, tracer.begin(name, { kind: "server", attributes }, caller));
  });
  // Not sooner: the parser of the body would leave what was entered here.
  app.addHook("preHandler", (request, _reply, done) => {
    const handle = () => withLogFields(fieldsOf(request), done);
    const span = request.getDecorator<Span | null>(spanDecorator);
    if (span) tracer.within(span, handle);
    else handle();
  });
  app.addHook("onResponse", async (request, reply) => {
    const span = request.getDecorator<Span | null>(spanDecorator);
    span?.set({ [spanAttributes.httpStatus]: reply.statusCode });
    if (reply.statusCode >= 500) span?.fail(String(reply.statusCode));
    span?.end();
  });
}

function fieldsOf({ params }: FastifyRequest): Record<string, string> {
  const named = typeof params === "object" && params !== null && "id" in params ? params.id : undefined;
  return typeof named === "string" ? { workflowId: named } : {};
}
