import {
  admissionQueue,
  agentQueue,
  connect,
  disconnect,
  isConnected,
  RedisCheck,
  RedisDeadLetters,
  RedisKeyStore,
  RedisStore,
  Scripts,
} from "@flotilla/fleet";
import { openStorage } from "@flotilla/oci";
import {
  callbackRules,
  createLogger,
  createMetrics,
  createRedact,
  HealthService,
  redisSettings,
  runProcess,
  type Service,
  Tracing,
  tracingSettings,
} from "@flotilla/runtime";
import { buildApp } from "./app.ts";
import { config } from "./config.ts";
import { HttpService } from "./http-service.ts";
import { Intake } from "./intake/intake.ts";

const redact = createRedact(config);
const logger = createLogger({ role: "api", level: config.LOG_LEVEL, redact });
const metrics = createMetrics();
const tracing = new Tracing(tracingSettings(config, "api"), (problem) => logger.warn({ problem }, "traces"));
const { blobs, archive, streams, services: storage } = openStorage(config, logger);
const redis = redisSettings(config);
const redisCheck = new RedisCheck(redis, logger);

const callbacks = callbackRules({
  secrets: config.FLOTILLA_CALLBACK_SECRET,
  trustedHosts: config.FLOTILLA_CALLBACK_HOSTS,
});

const store = new RedisStore({
  redis,
  blobs,
  idempotencyMs: config.FLOTILLA_IDEMPOTENCY_MS,
  archive,
  logger,
  tracer: tracing,
});
const keyConnection = connect(redis, "failFast", logger);
const keyService: Service = {
  start: () => isConnected(keyConnection),
  stop: async () => disconnect(keyConnection),
};
const deadLetters = new RedisDeadLetters(new Scripts(keyConnection));
const intakes = config.FLOTILLA_INTAKE.map(
  ({ tenant, streamId }) =>
    new Intake({
      tenant,
      streamId,
      open: streams.reader,
      store,
      deadLetters,
      ...(callbacks && { callbacks }),
      metrics,
      logger,
    }),
);
const http = new HttpService({
  app: buildApp({
    store,
    inbox: store.inbox,
    schedules: store.schedules,
    keys: new RedisKeyStore(keyConnection),
    blobs,
    deadLetters,
    logger,
    ...(callbacks && { callbacks }),
    tracer: tracing,
    ...(config.FLOTILLA_RATE_LIMIT !== undefined && { requestsPerMinute: config.FLOTILLA_RATE_LIMIT }),
    queues: async () => {
      const agents = await store.agents();
      return [admissionQueue, ...agents.map(({ type }) => agentQueue(type))].map((name) => store.queues.open(name));
    },
  }),
  host: config.HOST,
  port: config.PORT,
});
const health = new HealthService({ host: config.HOST, port: config.METRICS_PORT, metrics });

await runProcess({
  role: "api",
  services: [tracing, redisCheck, ...storage, health, store, keyService, ...intakes, http],
  logger,
  details: () => ({ url: http.url, metricsUrl: health.metricsUrl }),
});
