import { randomUUID } from "node:crypto";
import { type CallbackRules, noTracer, type Tracer } from "@flotilla/runtime";
import type { BlobStore, DeadLetters, Inbox, KeyStore, Schedules, WorkflowStore } from "@flotilla/workflow";
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from "fastify";
import { RecentAgents } from "./agent-catalog.ts";
import { authenticate, decorateCaller, tenantOf } from "./authentication.ts";
import { answerBrokenRequest, answerError } from "./errors.ts";
import { acceptJsonOnly, maxBodyBytes } from "./json-body.ts";
import { KeyCache } from "./key-cache.ts";
import { notFound } from "./problem.ts";
import { type BoardQueue, queueBoard } from "./queue-board.ts";
import { limitRate } from "./rate-limit.ts";
import { RouteIndex, refuseUnrouted } from "./route-index.ts";
import { agentRoutes } from "./routes/agents.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { callbackRoutes } from "./routes/callbacks.ts";
import { eventRoutes } from "./routes/events.ts";
import { failureRoutes } from "./routes/failures.ts";
import { historyRoutes } from "./routes/history.ts";
import { inboxRoutes } from "./routes/inbox.ts";
import { intakeRoutes } from "./routes/intake.ts";
import { scheduleRoutes } from "./routes/schedules.ts";
import { signalRoutes } from "./routes/signals.ts";
import { serviceRoutes } from "./routes/service.ts";
import { workflowRoutes } from "./routes/workflows.ts";
import { traceRequests } from "./tracing.ts";

/** A socket on which nothing moves is closed: a client that stopped reading its stream must not hold it for ever. */
const silentSocketMs = 60_000;

/** What the API serves from. It owns none of it. */
export interface ApiDependencies {
  store: WorkflowStore;
  inbox: Inbox;
  schedules: Schedules;
  keys: Pick<KeyStore, "find">;
  blobs: Pick<BlobStore, "get">;
  deadLetters: Pick<DeadLetters, "list">;
  logger: FastifyBaseLogger;
  /** Which callbacks are accepted, and how they are signed; none are unless given. */
  callbacks?: CallbackRules;
  /** For each tenant; no limit unless given. */
  requestsPerMinute?: number;
  /** Shown to operators at `/queues`, which does not exist unless given. */
  queues?: () => Promise<readonly BoardQueue[]>;
  /** Traces nothing unless given. */
  tracer?: Tracer;
  /** From the first byte of a request to its last; 9 s by default. */
  requestTimeoutMs?: number;
  /** How often a stream without events says that it lives; 15 s by default. */
  heartbeatMs?: number;
}

/** The HTTP API, not yet listening. */
export function buildApp(dependencies: ApiDependencies): FastifyInstance {
  const {
    store,
    inbox,
    schedules,
    blobs,
    callbacks,
    logger,
    queues,
    requestsPerMinute,
    tracer = noTracer,
    requestTimeoutMs = 9000,
    heartbeatMs = 15_000,
  } = dependencies;
  const app: FastifyInstance = createServer(logger, requestTimeoutMs);
  const keys = new KeyCache(dependencies.keys);
  const routes = new RouteIndex(app);

  acceptJsonOnly(app);
  decorateCaller(app);
  app.setErrorHandler(answerError);
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({ "x-request-id": request.id, "x-content-type-options": "nosniff", "cache-control": "no-store" });
  });
  app.addHook("onResponse", async (request, { log, statusCode, elapsedTime }) => {
    const { method } = request;
    // Without its query: people put keys there.
    const [path] = request.url.split("?", 1);
    log.debug({ tenant: tenantOf(request), method, path, statusCode, elapsedMs: elapsedTime }, "answered");
  });

  app.register(async (open) => {
    open.addHook("onRequest", refuseUnrouted(routes));
    open.setNotFoundHandler(answerNotFound);
    serviceRoutes(open, { store, routes });
  });
  app.register(
    async (v1) => {
      traceRequests(v1, tracer);
      v1.addHook("onRequest", authenticate(keys));
      if (requestsPerMinute !== undefined) v1.addHook("onRequest", limitRate(requestsPerMinute));
      v1.addHook("onRequest", refuseUnrouted(routes));
      v1.setNotFoundHandler(answerNotFound);
      const agents = new RecentAgents(store);
      workflowRoutes(v1, { store, agents, callbacks });
      historyRoutes(v1, { store, agents, callbacks });
      scheduleRoutes(v1, { schedules, agents, callbacks });
      callbackRoutes(v1, { callbacks });
      signalRoutes(v1, { store });
      eventRoutes(v1, { store, heartbeatMs });
      failureRoutes(v1, { store });
      inboxRoutes(v1, { inbox });
      artifactRoutes(v1, { store, blobs });
      agentRoutes(v1, { store });
      intakeRoutes(v1, { deadLetters: dependencies.deadLetters });
    },
    { prefix: "/v1" },
  );
  if (queues) app.register(async (board) => queueBoard(board, { keys, queues }));
  return app;
}

function createServer(logger: FastifyBaseLogger, requestTimeoutMs: number): FastifyInstance {
  const process = randomUUID().slice(0, 8);
  let requests = 0;
  return fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => `${process}-${(requests++).toString(36)}`,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    // Node looks for requests that are too slow once in this interval, by default 30 s.
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: Math.min(500, requestTimeoutMs) },
    connectionTimeout: silentSocketMs,
    // While it stops, the process goes on answering what still comes on open connections, and closes each after it.
    return503OnClosing: false,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    routerOptions: { maxParamLength: 512 },
  });
}

/** Where a context has one, Fastify runs its hooks for paths that no route takes; `refuseUnrouted` answers there. */
async function answerNotFound(): Promise<never> {
  throw notFound();
}
