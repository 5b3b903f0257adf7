import { exportTo, Poster, RedisCheck, Supervisor, Tally } from "@flotilla/fleet";
import { openStorage } from "@flotilla/oci";
import {
  createLogger,
  createMetrics,
  createRedact,
  HealthService,
  redisSettings,
  runProcess,
  Tracing,
  tracingSettings,
  Webhook,
} from "@flotilla/runtime";
import { config } from "./config.ts";

const redact = createRedact(config);
const logger = createLogger({ role: "supervisor", level: config.LOG_LEVEL, redact });
const metrics = createMetrics();
const tracing = new Tracing(tracingSettings(config, "supervisor"), (problem) => logger.warn({ problem }, "traces"));
const redis = redisSettings(config);
const storage = openStorage(config, logger);
const redisCheck = new RedisCheck(redis, logger);
const { FLOTILLA_RECOVERY: recovery, OCI_STREAM_ID: eventsId } = config;
const { auditLog, metricSink: sink } = storage;
const events = exportTo({ ...(eventsId !== undefined && { stream: storage.streams.writer(eventsId) }), auditLog });
const monitoring = sink ? [new Tally({ redis, metrics, logger }), new Poster({ redis, sink, metrics, logger })] : [];
const supervisor = new Supervisor({
  redis,
  defaults: {
    attempts: config.MAX_RETRIES + 1,
    concurrency: config.MAX_CONCURRENT_AGENTS,
    ...(recovery ? { recovery } : {}),
  },
  handoffTimeoutMs: config.HANDOFF_TIMEOUT_MS,
  maxActiveWorkflows: config.MAX_ACTIVE_WORKFLOWS,
  retentionMs: config.FLOTILLA_RETENTION_MS,
  archive: {
    objects: storage.archive,
    checkpointEveryMs: config.CHECKPOINT_INTERVAL_MS,
    retentionMs: config.FLOTILLA_ARCHIVE_RETENTION_MS,
    ...(events && { events }),
  },
  callbacks: {
    target: new Webhook({
      secrets: config.FLOTILLA_CALLBACK_SECRET,
      trustedHosts: config.FLOTILLA_CALLBACK_HOSTS,
    }),
    giveUpAfterMs: config.FLOTILLA_CALLBACK_RETRY_MS,
  },
  metrics,
  logger,
  tracer: tracing,
});
const looksAgo = () => ({ ok: supervisor.idleForMs < 5000, detail: `${Math.round(supervisor.idleForMs)} ms` });
const health = new HealthService({
  host: config.HOST,
  port: config.METRICS_PORT,
  metrics,
  checks: { health: { progress: () => supervisor.check() }, ready: { looksAgo } },
});

await runProcess({
  role: "supervisor",
  services: [tracing, redisCheck, ...storage.services, health, ...monitoring, supervisor],
  logger,
  details: () => ({ metricsUrl: health.metricsUrl }),
});
