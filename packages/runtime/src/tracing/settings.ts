import { hostname } from "node:os";
import type { z } from "zod";
import type { tracingEnvironment } from "../environment.ts";
import { resourceAttributes } from "./names.ts";

/** Where spans go, and which. */
export interface TracingSettings {
  /** Address that takes them. */
  url: string;
  protocol: "http/protobuf" | "http/json";
  headers: Readonly<Record<string, string>>;
  /** Of one export, in ms. */
  timeoutMs: number;
  sampler: z.output<typeof tracingEnvironment>["OTEL_TRACES_SAMPLER"];
  ratio: number;
  /** How long spans wait for others to go with, in ms. */
  delayMs: number;
  /** Most spans that wait; what is more is lost. */
  maxWaiting: number;
  showsContent: boolean;
  resource: Readonly<Record<string, string>>;
}

/** Tracing as parsed variables name it for a process of that role; undefined where it is off. */
export function tracingSettings(
  config: Readonly<z.output<typeof tracingEnvironment>>,
  role: string,
): TracingSettings | undefined {
  const url = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? tracesBelow(config.OTEL_EXPORTER_OTLP_ENDPOINT);
  if (url === undefined || config.OTEL_SDK_DISABLED || config.OTEL_TRACES_EXPORTER === "none") return undefined;
  return {
    url,
    protocol: config.OTEL_EXPORTER_OTLP_PROTOCOL,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS,
    timeoutMs: config.OTEL_EXPORTER_OTLP_TIMEOUT,
    sampler: config.OTEL_TRACES_SAMPLER,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    delayMs: config.OTEL_BSP_SCHEDULE_DELAY,
    maxWaiting: config.OTEL_BSP_MAX_QUEUE_SIZE,
    showsContent: config.OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT,
    resource: {
      [resourceAttributes.namespace]: "flotilla",
      [resourceAttributes.instance]: `${hostname()}.${process.pid}`,
      ...config.OTEL_RESOURCE_ATTRIBUTES,
      [resourceAttributes.name]:
        config.OTEL_SERVICE_NAME ?? config.OTEL_RESOURCE_ATTRIBUTES[resourceAttributes.name] ?? `flotilla-${role}`,
    },
  };
}

/** The endpoint that all signals share is a base address. */
function tracesBelow(endpoint: string | undefined): string | undefined {
  return endpoint === undefined ? undefined : `${endpoint.replace(/\/$/, "")}/v1/traces`;
}
