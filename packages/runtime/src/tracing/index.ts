export * from "./names.ts";
export { type TracingSettings, tracingSettings } from "./settings.ts";
export { errorTypeOf, noTracer, type Span, type SpanAttributes, type SpanOptions, type Tracer } from "./tracer.ts";
export { Tracing } from "./tracing.ts";
