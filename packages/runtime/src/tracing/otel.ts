import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Attributes,
  type Context,
  diag,
  DiagLogLevel,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer as OtelApi,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { withLogFields } from "../log-fields.ts";
import { spanAttributes } from "./names.ts";
import type { TracingSettings } from "./settings.ts";
import { errorTypeOf, type Span, type SpanAttributes, type SpanOptions, type Tracer, unrecorded } from "./tracer.ts";

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const;

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Longest value of an attribute; a prompt may be longer. */
const maxValueLength = 32_768;

/** A tracer over OpenTelemetry. */
export interface OtelTracer extends Tracer {
  /** Delivers what waits and ends, after that many ms in any case. */
  close(withinMs: number): Promise<void>;
}

/** Opens the SDK. Nothing of it is global: what else in the process uses OpenTelemetry's API is not touched. */
export async function openOtel(settings: TracingSettings, onTrouble: (message: string) => void): Promise<OtelTracer> {
  // The SDK tells of exports that failed in no other way.
  diag.setLogger(troubleLogger(onTrouble), { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
  const provider = new TracerProvider({
    resource: resourceFromAttributes(settings.resource),
    sampler: samplerOf(settings),
    spanLimits: { attributeValueLengthLimit: maxValueLength },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: await exporterOf(settings),
        scheduledDelayMillis: settings.delayMs,
        maxQueueSize: settings.maxWaiting,
        maxExportBatchSize: Math.min(512, settings.maxWaiting),
        exportTimeoutMillis: settings.timeoutMs,
      }),
    ],
  });
  return new Spans(provider, settings);
}

/** A span, and the context that makes others its children. */
class RecordedSpan implements Span {
  readonly context: Context;
  readonly #span: OtelSpan;

  constructor(span: OtelSpan, parent: Context) {
    this.#span = span;
    this.context = trace.setSpan(parent, span);
  }

  get spanContext(): SpanContext {
    return this.#span.spanContext();
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.spanContext;
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(given(attributes));
  }

  fail(type: string): void {
    this.#span.setAttribute(spanAttributes.errorType, type);
    this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }

  end(): void {
    this.#span.end();
  }
}

class Spans implements OtelTracer {
  readonly showsContent: boolean;
  readonly #provider: TracerProvider;
  readonly #api: OtelApi;
  readonly #current = new AsyncLocalStorage<RecordedSpan>();
  readonly #obeysParents: boolean;

  constructor(provider: TracerProvider, { showsContent, sampler }: TracingSettings) {
    this.#provider = provider;
    this.#api = provider.getTracer("flotilla");
    this.showsContent = showsContent;
    this.#obeysParents = sampler.startsWith("parentbased_");
  }

  begin(name: string, options: SpanOptions, traceparent?: string): Span {
    return this.#open(name, options, remote(traceparent) ?? ROOT_CONTEXT);
  }

  within<T>(span: Span, work: () => T): T {
    if (!(span instanceof RecordedSpan)) return work();
    const { traceId, spanId } = span.spanContext;
    return this.#current.run(span, () => withLogFields({ traceId, spanId }, work));
  }

  async run<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
    const parent = this.#current.getStore();
    return parent ? this.#work(this.#open(name, options, parent.context), work) : work(unrecorded(undefined));
  }

  async resume<T>(
    traceparent: string | undefined,
    name: string,
    options: SpanOptions,
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    const parent = remote(traceparent);
    const { traceId, traceFlags } = (parent && trace.getSpanContext(parent)) ?? { traceId: "", traceFlags: 0 };
    if (parent && this.#obeysParents && (traceFlags & TraceFlags.SAMPLED) === 0) {
      // The SDK would come to the same, for a third of the price of a span that is kept.
      return withLogFields({ traceId }, () => work(unrecorded(traceparent)));
    }
    return parent ? this.#work(this.#open(name, options, parent), work) : work(unrecorded(undefined));
  }

  active(): string | undefined {
    return this.#current.getStore()?.traceparent;
  }

  async close(withinMs: number): Promise<void> {
    // What could not be delivered has been told of.
    const closing = this.#provider.shutdown().catch(() => undefined);
    await Promise.race([closing, delay(withinMs, undefined, { ref: false })]);
    diag.disable();
  }

  #open(name: string, { kind = "internal", attributes = {} }: SpanOptions, parent: Context): RecordedSpan {
    const span = this.#api.startSpan(name, { kind: kinds[kind], attributes: given(attributes) }, parent);
    return new RecordedSpan(span, parent);
  }

  async #work<T>(span: RecordedSpan, work: (span: Span) => Promise<T>): Promise<T> {
    try {
      return await this.within(span, () => work(span));
    } catch (error) {
      span.fail(errorTypeOf(error));
      throw error;
    } finally {
      span.end();
    }
  }
}

/** The context of a span in another process; undefined where the text is none. */
function remote(traceparent: string | undefined): Context | undefined {
  const [, traceId, spanId, flags] = traceparentPattern.exec(traceparent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : undefined;
}

function given(attributes: SpanAttributes): Attributes {
  const known: Attributes = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) known[name] = typeof value === "object" ? [...value] : value;
  }
  return known;
}

function samplerOf({ sampler, ratio }: TracingSettings): Sampler {
  switch (sampler) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(ratio);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

async function exporterOf({ protocol, url, headers, timeoutMs }: TracingSettings): Promise<SpanExporter> {
  const options = { url, headers: { ...headers }, timeoutMillis: timeoutMs };
  switch (protocol) {
    case "http/protobuf": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
      return new OTLPTraceExporter(options);
    }
    case "http/json": {
      const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
      return new OTLPTraceExporter(options);
    }
  }
}

function troubleLogger(onTrouble: (message: string) => void) {
  const ignored = () => undefined;
  return { error: onTrouble, warn: ignored, info: ignored, debug: ignored, verbose: ignored };
}
