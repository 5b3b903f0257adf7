import { hostname } from "node:os";
import { createIsolatedExecutor, describeAgent } from "@flotilla/agents";
import { AgentWorker, ProviderLimits, RedisCheck, SharedCircuits, WorkerRegistration } from "@flotilla/fleet";
import { createLogger, createMetrics, HealthService, redisSettings, runProcess } from "@flotilla/runtime";
import { findAgent } from "./agents.ts";
import { config } from "./config.ts";
import { createExecution } from "./execution.ts";

const logger = createLogger({ role: "agent", level: config.LOG_LEVEL });
const metrics = createMetrics();
const redis = redisSettings(config);
const redisCheck = new RedisCheck(redis, logger);
const agent = await findAgent(config);
const workerId = `${hostname()}.${process.pid}`;
const openMs = config.FLOTILLA_CIRCUIT_OPEN_MS;
const circuits = openMs > 0 ? { circuits: new SharedCircuits({ openMs, logger }) } : {};
const limits = {
  limits: new ProviderLimits({
    ...(config.FLOTILLA_MODEL_REQUESTS_PER_MINUTE && { requestsPerMinute: config.FLOTILLA_MODEL_REQUESTS_PER_MINUTE }),
    ...(config.FLOTILLA_MODEL_TOKENS_PER_MINUTE && { tokensPerMinute: config.FLOTILLA_MODEL_TOKENS_PER_MINUTE }),
    logger,
  }),
};
const execution = createExecution(config, agent, logger, {
  ...circuits,
  ...limits,
  onModelCall(tokens) {
    metrics.modelTokens.inc({ agent_type: agent.type, direction: "input" }, tokens.input);
    metrics.modelTokens.inc({ agent_type: agent.type, direction: "output" }, tokens.output);
  },
});
const { blobs, archive, services: storage, executor } = execution;
const worker = new AgentWorker({
  redis,
  agentType: agent.type,
  workerId,
  concurrency: config.AGENT_CONCURRENCY,
  executor,
  isolatedExecutor: createIsolatedExecutor({ program: new URL("./isolated.ts", import.meta.url), logger }),
  ...circuits,
  ...limits,
  blobs,
  archive,
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
  services: [redisCheck, ...storage, health, worker, registration],
  logger,
  details: () => ({ agentType: agent.type, metricsUrl: health.metricsUrl }),
});
