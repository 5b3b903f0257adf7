import { hostname } from "node:os";
import { createIsolatedExecutor, describeAgent } from "@flotilla/agents";
import { AgentWorker, RedisCheck, WorkerRegistration } from "@flotilla/fleet";
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
const execution = createExecution(config, agent, logger, ({ input, output, microUsd }) => {
  metrics.modelTokens.inc({ agent_type: agent.type, direction: "input" }, input);
  metrics.modelTokens.inc({ agent_type: agent.type, direction: "output" }, output);
  metrics.modelCostUsd.inc({ agent_type: agent.type }, microUsd / 1_000_000);
});
const { blobs, archive, services: storage, executor } = execution;
const worker = new AgentWorker({
  redis,
  agentType: agent.type,
  workerId,
  concurrency: config.AGENT_CONCURRENCY,
  executor,
  isolatedExecutor: createIsolatedExecutor({ program: new URL("./isolated.ts", import.meta.url), logger }),
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
