import type { Service } from "../lifecycle.ts";
import type { OtelTracer } from "./otel.ts";
import type { TracingSettings } from "./settings.ts";
import { noTracer, type Span, type SpanOptions, type Tracer } from "./tracer.ts";

/** How long a process that stops waits for its last spans to be taken, in ms. */
const flushMs = 2000;

/** The tracer of one process. OpenTelemetry is loaded when it starts, and only where there is somewhere to send spans. */
export class Tracing implements Tracer, Service {
  readonly #settings: TracingSettings | undefined;
  readonly #onTrouble: (message: string) => void;
  #otel: OtelTracer | undefined;
  #tracer: Tracer = noTracer;

  /** `onTrouble` is told, in words free of what is in spans, when they could not be delivered. */
  constructor(settings: TracingSettings | undefined, onTrouble: (message: string) => void) {
    this.#settings = settings;
    this.#onTrouble = onTrouble;
  }

  async start(): Promise<void> {
    if (!this.#settings) return;
    const { openOtel } = await import("./otel.ts");
    this.#tracer = this.#otel = await openOtel(this.#settings, this.#onTrouble);
  }

  /** Delivers what waits, as far as that takes no longer than 2 s. */
  async stop(): Promise<void> {
    const otel = this.#otel;
    this.#otel = undefined;
    this.#tracer = noTracer;
    await otel?.close(flushMs);
  }

  get showsContent(): boolean {
    return this.#tracer.showsContent;
  }

  begin(name: string, options: SpanOptions, traceparent?: string): Span {
    return this.#tracer.begin(name, options, traceparent);
  }

  within<T>(span: Span, work: () => T): T {
    return this.#tracer.within(span, work);
  }

  run<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
    return this.#tracer.run(name, options, work);
  }

  resume<T>(
    traceparent: string | undefined,
    name: string,
    options: SpanOptions,
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    return this.#tracer.resume(traceparent, name, options, work);
  }

  active(): string | undefined {
    return this.#tracer.active();
  }
}
