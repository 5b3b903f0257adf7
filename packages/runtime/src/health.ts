import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { Service } from "./lifecycle.ts";
import type { Metrics } from "./metrics.ts";

const checkTimeoutMs = 1000;

/** What a check found; `detail` is a word for whoever reads the answer. */
export interface CheckResult {
  ok: boolean;
  detail?: string;
}

/** Asks one question about the process. One that throws, or takes over a second, is not ok. */
export type Check = () => CheckResult | Promise<CheckResult>;

/**
 * `health` fails when only a restart helps: a loop that makes no progress. `ready` fails when work should go elsewhere
 * for now: Redis is away. A process that merely waits for another one is healthy.
 */
export interface Checks {
  health: Readonly<Record<string, Check>>;
  ready: Readonly<Record<string, Check>>;
}

/** The answer of `/health` and `/ready`: 200 when `ok`, else 503. */
export interface CheckReport {
  ok: boolean;
  checks: Record<string, CheckResult>;
}

/** Where and what a health service answers; port 0 picks a free one. */
export interface HealthOptions {
  host: string;
  port: number;
  metrics: Pick<Metrics, "registry">;
  /** Left out, there are metrics only. */
  checks?: Checks;
}

/** Runs all checks at the same time. Never rejects. */
export async function runChecks(checks: Readonly<Record<string, Check>>): Promise<CheckReport> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const),
  );
  return { ok: results.every(([, result]) => result.ok), checks: Object.fromEntries(results) };
}

async function runCheck(check: Check): Promise<CheckResult> {
  const { promise: timedOut, resolve } = Promise.withResolvers<CheckResult>();
  const timer = setTimeout(resolve, checkTimeoutMs, { ok: false, detail: "no answer in time" });
  try {
    return await Promise.race([check(), timedOut]);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Serves `/health`, `/ready` and `/metrics` on a listener of their own. `start` rejects when the port is taken. */
export class HealthService implements Service {
  readonly #options: HealthOptions;
  #server: Server | undefined;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request.url, response).catch((error: unknown) => send(response, 500, "text/plain", String(error)));
    });
    server.listen(this.#options.port, this.#options.host);
    await once(server, "listening");
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** Base address, without a slash at its end. Throws unless started. */
  get url(): string {
    const address = this.#server?.address();
    if (!address || typeof address === "string") throw new Error("the health service is not started");
    const { host } = this.#options;
    return `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
  }

  /** Where Prometheus finds this process. Throws unless started. */
  get metricsUrl(): string {
    return `${this.url}/metrics`;
  }

  async #answer(url: string | undefined, response: ServerResponse): Promise<void> {
    const { metrics, checks } = this.#options;
    const path = url?.split("?", 1)[0];
    if (path === "/metrics") return send(response, 200, metrics.registry.contentType, await metrics.registry.metrics());
    if (path === "/health" && checks) return sendReport(response, await runChecks(checks.health));
    if (path === "/ready" && checks) return sendReport(response, await runChecks(checks.ready));
    send(response, 404, "text/plain", "not found\n");
  }
}

function sendReport(response: ServerResponse, report: CheckReport): void {
  send(response, report.ok ? 200 : 503, "application/json", `${JSON.stringify(report)}\n`);
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" }).end(body);
}
