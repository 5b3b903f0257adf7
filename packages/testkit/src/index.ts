export * from "./cluster.ts";
export * from "./fault-proxy.ts";
export * from "./otlp-receiver.ts";
export * from "./processes.ts";
export * from "./redis.ts";
export * from "./scripted-model.ts";
export * from "./sentinels.ts";
export * from "./until.ts";
