import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { TLSSocket } from "node:tls";
import type { Logger, Service } from "@flotilla/runtime";
import type { ClientAuthority } from "./client-authority.ts";
import { type Answer, answerGet, type Source, status } from "./external-metrics.ts";

/** How often the certificate is read anew, in ms: whoever issues it replaces the files in place. */
const rereadMs = 60_000;

/** Where and what a metric server answers; port 0 picks a free one. */
export interface MetricServerOptions {
  host: string;
  port: number;
  /** PEM files of the certificate that it shows, and of its key. */
  certFile: string;
  keyFile: string;
  /** Who may ask. */
  authority: () => Promise<ClientAuthority>;
  source: Source;
  logger: Logger;
}

/** Serves `external.metrics.k8s.io` over TLS to the API server of the cluster, and to nobody else. */
export class MetricServer implements Service {
  readonly #options: MetricServerOptions;
  #server: Server | undefined;
  #names: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MetricServerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { host, port, logger } = this.#options;
    const server = createServer(await this.#secrets(), (request, response) => void this.#answer(request, response));
    server.listen(port, host);
    await once(server, "listening");
    this.#server = server;
    this.#timer = setInterval(() => {
      this.#secrets().then(
        (secrets) => server.setSecureContext(secrets),
        // The certificate that it has still holds; what is in the files may be half written.
        (error: unknown) => logger.error({ err: error }, "the certificate was not read anew"),
      );
    }, rereadMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** Throws unless started. */
  get port(): number {
    const address = this.#server?.address();
    if (!address || typeof address === "string") throw new Error("the metric server is not started");
    return address.port;
  }

  async #secrets() {
    const { certFile, keyFile, authority } = this.#options;
    const [cert, key, { ca, names }] = await Promise.all([
      readFile(certFile, "utf8"),
      readFile(keyFile, "utf8"),
      authority(),
    ]);
    this.#names = names;
    return { cert, key, ca, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2" as const };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status: code, body } = await this.#answerTo(request);
    response.writeHead(code, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify(body));
  }

  async #answerTo(request: IncomingMessage): Promise<Answer> {
    if (!this.#mayAsk(request)) return status(403, "Forbidden", "only the API server of the cluster may ask");
    if (request.method !== "GET") return status(405, "MethodNotAllowed", "metrics can only be read");
    try {
      return await answerGet(this.#options.source, request.url ?? "/", new Date());
    } catch {
      return status(400, "BadRequest", "the address is not understood");
    }
  }

  /** The authority may have signed others too: only some names are the API server's. */
  #mayAsk({ socket }: IncomingMessage): boolean {
    if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
    const name = socket.getPeerCertificate().subject?.CN;
    return this.#names.length === 0 || (typeof name === "string" && this.#names.includes(name));
  }
}
