import { FleetNumbers, RedisCheck } from "@flotilla/fleet";
import {
  createLogger,
  createMetrics,
  createRedact,
  HealthService,
  ownCluster,
  redisSettings,
  runProcess,
} from "@flotilla/runtime";
import { fetchClientAuthority } from "./client-authority.ts";
import { config } from "./config.ts";
import { MetricServer } from "./metric-server.ts";

const redact = createRedact(config);
const logger = createLogger({ role: "metrics-adapter", level: config.LOG_LEVEL, redact });
const metrics = createMetrics();
const redis = redisSettings(config);
const redisCheck = new RedisCheck(redis, logger);
const numbers = new FleetNumbers({ redis, logger });
const server = new MetricServer({
  host: config.HOST,
  port: config.ADAPTER_PORT,
  certFile: config.ADAPTER_TLS_CERT,
  keyFile: config.ADAPTER_TLS_KEY,
  authority: async () => fetchClientAuthority(await ownCluster()),
  source: numbers,
  logger,
});
const health = new HealthService({
  host: config.HOST,
  port: config.METRICS_PORT,
  metrics,
  checks: {
    health: {},
    ready: { redis: async () => ({ ok: (await numbers.activeWorkflows()) >= 0 }) },
  },
});

await runProcess({
  role: "metrics-adapter",
  services: [redisCheck, health, numbers, server],
  logger,
  details: () => ({ metricsUrl: health.metricsUrl }),
});
