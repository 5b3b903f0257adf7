export * from "./config.ts";
export * from "./environment.ts";
export * from "./node-flags.ts";
export * from "./oci-settings.ts";
export * from "./redis-settings.ts";
