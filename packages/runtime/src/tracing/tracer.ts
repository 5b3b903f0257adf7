/** What a span says, by the names of `names.ts`. */
export type SpanAttributes = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** What a span is about. */
export interface SpanOptions {
  kind?: "internal" | "server" | "client" | "consumer";
  attributes?: SpanAttributes;
}

/** A piece of work as a trace shows it. One that is not recorded takes everything and keeps nothing. */
export interface Span {
  /** Its W3C `traceparent`, for whoever goes on from here; of one that is not recorded, that which it came from. */
  readonly traceparent: string | undefined;
  set(attributes: SpanAttributes): void;
  /** Says that the work failed, and by what kind of error; never with its words, which may quote anything. */
  fail(type: string): void;
  /** Once. */
  end(): void;
}

/**
 * Where work is traced. A trace begins at an HTTP request; whatever has no trace to go on from is not traced. Off, it
 * costs a call of a function.
 */
export interface Tracer {
  /** Whether prompts, answers, arguments and results may stand in spans. */
  readonly showsContent: boolean;
  /** Begins a trace, or goes on with that of a caller. The span is its caller's to end. */
  begin(name: string, options: SpanOptions, traceparent?: string): Span;
  /** Does the work as part of a span: what is traced within is its child. */
  within<T>(span: Span, work: () => T): T;
  /** Does the work in a span of its own, a child of the one that it is part of. A throw is its failure. */
  run<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T>;
  /** As `run`, going on from a `traceparent` that came from another process; without one nothing is traced. */
  resume<T>(
    traceparent: string | undefined,
    name: string,
    options: SpanOptions,
    work: (span: Span) => Promise<T>,
  ): Promise<T>;
  /** The `traceparent` of the span that the caller is part of. */
  active(): string | undefined;
}

const untraced: Span = {
  traceparent: undefined,
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

/** A span that is not recorded, and hands on what it came from. */
export function unrecorded(traceparent: string | undefined): Span {
  return traceparent === undefined ? untraced : { ...untraced, traceparent };
}

/** Traces nothing, and hands on the traces that others keep. */
export const noTracer: Tracer = {
  showsContent: false,
  begin: (_name, _options, traceparent) => unrecorded(traceparent),
  within: (_span, work) => work(),
  run: (_name, _options, work) => work(untraced),
  resume: (traceparent, _name, _options, work) => work(unrecorded(traceparent)),
  active: () => undefined,
};

/** What kind of error it was, for `Span.fail`: a code where it has one, else its name. */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
