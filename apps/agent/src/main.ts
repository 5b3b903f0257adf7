import { hostname } from "node:os";
import { createIsolatedExecutor, describeAgent } from "@flotilla/agents";
import { AgentWorker, ProviderLimits, RedisCheck, SharedCircuits, Tally, WorkerRegistration } from "@flotilla/fleet";
import {
  createLogger,
  createMetrics,
  createRedact,
  HealthService,
  ownCluster,
  redisSettings,
  runProcess,
  Tracing,
  tracingSettings,
} from "@flotilla/runtime";
import { findAgent } from "./agents.ts";
import { config } from "./config.ts";
import { DeletionCost } from "./deletion-cost.ts";
import { createExecution } from "./execution.ts";

const redact = createRedact(config);
const logger = createLogger({ role: "agent", level: config.LOG_LEVEL, redact });
const metrics = createMetrics();
const tracing = new Tracing(tracingSettings(config, "agent"), (problem) => logger.warn({ problem }, "traces"));
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
const execution = createExecution(
  config,
  agent,
  { logger, tracer: tracing, redact },
  {
    ...circuits,
    ...limits,
    onModelCall({ input, output, microUsd }) {
      metrics.modelTokens.inc({ agent_type: agent.type, direction: "input" }, input);
      metrics.modelTokens.inc({ agent_type: agent.type, direction: "output" }, output);
      metrics.modelCostUsd.inc({ agent_type: agent.type }, microUsd / 1_000_000);
    },
  },
);
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
  tracer: tracing,
});
const registration = new WorkerRegistration({ redis, descriptor: describeAgent(agent), workerId, logger });
const cost = { api: ownCluster, runningTasks: () => worker.runningTasks, logger };
const { POD_NAME: pod } = config;
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
  services: [
    tracing,
    redisCheck,
    ...storage,
    health,
    ...(execution.metricSink ? [new Tally({ redis, metrics, logger })] : []),
    worker,
    registration,
    ...(pod === undefined ? [] : [new DeletionCost({ ...cost, pod })]),
  ],
  logger,
  details: () => ({ agentType: agent.type, metricsUrl: health.metricsUrl }),
});
