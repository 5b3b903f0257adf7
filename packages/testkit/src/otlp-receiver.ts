import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { z } from "zod";

const Value: z.ZodType = z
  .union([
    z.object({ stringValue: z.string() }).transform(({ stringValue }) => stringValue),
    z.object({ intValue: z.union([z.string(), z.number()]) }).transform(({ intValue }) => Number(intValue)),
    z.object({ doubleValue: z.number() }).transform(({ doubleValue }) => doubleValue),
    z.object({ boolValue: z.boolean() }).transform(({ boolValue }) => boolValue),
    z
      .object({ arrayValue: z.object({ values: z.array(z.lazy(() => Value)) }) })
      .transform(({ arrayValue }) => arrayValue.values),
  ])
  .describe("AnyValue of OTLP");
const Attributes = z
  .array(z.object({ key: z.string(), value: Value }))
  .default([])
  .transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, value])));

/** `ExportTraceServiceRequest` in the JSON encoding of OTLP 1. */
const Request = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: Attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string().regex(/^[0-9a-f]{32}$/),
              spanId: z.string().regex(/^[0-9a-f]{16}$/),
              parentSpanId: z
                .string()
                .regex(/^([0-9a-f]{16})?$/)
                .optional(),
              name: z.string(),
              kind: z.int(),
              startTimeUnixNano: z.string(),
              endTimeUnixNano: z.string(),
              attributes: Attributes,
              status: z.object({ code: z.int().optional() }).optional(),
            }),
          ),
        }),
      ),
    }),
  ),
});

type WireSpan = z.infer<typeof Request>["resourceSpans"][number]["scopeSpans"][number]["spans"][number];

/** A span that has arrived, and the name of the service that it came from. */
export type ReceivedSpan = WireSpan & { service: unknown };

/** A collector of traces for tests: OTLP over HTTP, its JSON parsed. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Every body as it came, for those who look for what must not be in it. */
  readonly bodies: { headers: IncomingHttpHeaders; body: Buffer }[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void buffer(request).then((body) => {
        this.bodies.push({ headers: request.headers, body });
        const isJson = request.headers["content-type"] === "application/json";
        if (isJson) this.#take(Request.parse(JSON.parse(body.toString())));
        response.writeHead(200, { "content-type": request.headers["content-type"] }).end(isJson ? "{}" : "");
      });
    });
  }

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  get url(): string {
    // A server that listens on TCP has an address and a port.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The first span of that name. Throws where none has come. */
  named(name: string): ReceivedSpan {
    const found = this.spans.find((span) => span.name === name);
    if (!found) throw new Error(`no span ${name} among ${this.spans.map((span) => span.name).join(", ")}`);
    return found;
  }

  /** Names from the root of its trace to a span. */
  path(span: ReceivedSpan): string[] {
    const parent = this.spans.find(({ spanId }) => spanId === span.parentSpanId);
    return [...(parent ? this.path(parent) : []), span.name];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #take({ resourceSpans }: z.infer<typeof Request>): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes["service.name"];
      this.spans.push(...scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service }))));
    }
  }
}
