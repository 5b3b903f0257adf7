import { hostname } from "node:os";
import { createExecutor, createModel, describeAgent } from "@flotilla/agents";
import { AgentWorker, RedisCheck, WorkerRegistration } from "@flotilla/fleet";
import {
  createFileBlobs,
  createLogger,
  createMetrics,
  HealthService,
  redisSettings,
  runProcess,
} from "@flotilla/runtime";
import { findAgent } from "./agents.ts";
import { config } from "./config.ts";

const logger = createLogger({ role: "agent", level: config.LOG_LEVEL });
const metrics = createMetrics();
const blobs = createFileBlobs(config.FLOTILLA_DATA_DIR);
const redis = redisSettings(config);
const redisCheck = new RedisCheck(redis, logger);
const agent = await findAgent(config);
const workerId = `${hostname()}.${process.pid}`;

const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: modelName } = config;
const model = createModel(
  baseUrl === undefined ? undefined : { baseUrl, model: modelName, ...(apiKey === undefined ? {} : { apiKey }) },
);
const worker = new AgentWorker({
  redis,
  agentType: agent.type,
  workerId,
  concurrency: config.AGENT_CONCURRENCY,
  executor: createExecutor({ agents: [agent], blobs, model, logger }),
  blobs,
  metrics,
  logger,
});
const registration = new WorkerRegistration({ redis, descriptor: describeAgent(agent), workerId, logger });
const health = new HealthService({
  host: config.HOST,
  port: config.METRICS_PORT,
  metrics,
  checks: {
    health: { progress: () => worker.check() },
    ready: { redis: () => ({ ok: worker.isReachable }), registration: () => registration.check() },
  },
});

await runProcess({
  role: "agent",
  services: [redisCheck, health, worker, registration],
  logger,
  details: () => ({ agentType: agent.type, metricsUrl: health.metricsUrl }),
});
