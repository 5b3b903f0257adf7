export { AgentWorker, type AgentWorkerOptions } from "./agent-worker.ts";
export { connect, type Connection, disconnect, isConnected, type Patience } from "./connection.ts";
export { RedisKeyStore } from "./key-store.ts";
export { admissionQueue, agentQueue, queuePrefix } from "./keys.ts";
export { Queues } from "./queues.ts";
export { WorkerRegistration } from "./worker-registration.ts";
export { Scripts } from "./scripts.ts";
export { RedisStore, type StoreOptions } from "./store.ts";
export { Supervisor, type SupervisorOptions } from "./supervisor.ts";
