import type { Socket } from "node:net";
import type { Service } from "@flotilla/runtime";
import type { FastifyInstance } from "fastify";

/** Where to listen; port 0 picks a free one. */
export interface HttpServiceOptions {
  app: FastifyInstance;
  host: string;
  port: number;
  /** How long stopping waits for requests under way; 5 s by default. */
  drainMs?: number;
}

const idleSweepMs = 100;

/** An application that listens while the process runs. Stopping ends event streams and lets other requests finish. */
export class HttpService implements Service {
  readonly #options: HttpServiceOptions;
  readonly #sockets = new Set<Socket>();
  #url: string | undefined;

  constructor(options: HttpServiceOptions) {
    this.#options = options;
    options.app.server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Where it listens. Throws before it does. */
  get url(): string {
    if (this.#url === undefined) throw new Error("the http service is not listening");
    return this.#url;
  }

  async start(): Promise<void> {
    const { app, host, port } = this.#options;
    this.#url = await app.listen({ host, port });
  }

  async stop(): Promise<void> {
    const { app, drainMs = 5000 } = this.#options;
    const sweep = setInterval(() => this.#closeIdle(), idleSweepMs);
    const overrun = setTimeout(() => app.server.closeAllConnections(), drainMs);
    try {
      await app.close();
    } finally {
      clearInterval(sweep);
      clearTimeout(overrun);
    }
  }

  /**
   * Node closes the connections that are idle when it is told to stop, and none that becomes so later. It takes one that
   * has never carried a request for busy; browsers and undici open such ahead of need.
   */
  #closeIdle(): void {
    this.#options.app.server.closeIdleConnections();
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}
