export * from "./choice.ts";
export * from "./find-redis.ts";
export * from "./find-server.ts";
export * from "./free-port.ts";
export * from "./spawn-redis.ts";
