export * from "./configuration.ts";
export * from "./file-archive.ts";
export * from "./file-blobs.ts";
export * from "./file-stream.ts";
export * from "./health.ts";
export * from "./lifecycle.ts";
export * from "./logger.ts";
export * from "./metrics.ts";
export { watchEventLoop } from "./watchdog.ts";
