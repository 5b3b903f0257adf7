import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type Fault, Faults } from "./faults.ts";
import { Buckets } from "./objects/buckets.ts";
import { objectOperations } from "./objects/operations.ts";
import { Router } from "./router.ts";
import { authenticate, type KeyRing } from "./signature.ts";
import { streamOperations } from "./streams/operations.ts";
import { Streams } from "./streams/streams.ts";
import { Telemetry, telemetryOperations } from "./telemetry/operations.ts";
import { type Operation, Refusal, type Reply, wholeBody } from "./wire.ts";

/** What the local server needs to know. */
export interface LocalOciOptions {
  /** Where everything is kept; survives a restart, and a kill. */
  folder: string;
  /** Whose requests are taken. */
  keys: KeyRing;
  /** Address that it binds, 127.0.0.1 by default: who has a key may do everything. */
  host?: string;
  /** Name by which clients reach it, 127.0.0.1 by default. */
  name?: string;
  /** 0, the default, picks one. */
  port?: number;
  /** The one namespace of Object Storage; `local` by default. */
  namespace?: string;
  /** Ids of streams that are there from the start; at OCI somebody makes them. */
  streams?: readonly string[];
  /** Least size of a part that is not the last; 10 MiB as at OCI by default. */
  minPartBytes?: number;
  /** The clock, in ms. */
  now?: () => number;
}

/** A server that speaks the wire of OCI Object Storage, Streaming, Monitoring and Logging. */
export class LocalOci {
  /** What is to go wrong. */
  readonly faults = new Faults();
  /** Requests for what this server does not know: method and path. Whoever makes one uses more of OCI than is here. */
  readonly unknown: string[] = [];
  /** Requests so far, by operation. */
  readonly calls = new Map<string, number>();
  /** What Monitoring and Logging were given. */
  readonly telemetry: Telemetry;
  readonly #server: Server;
  readonly #options: Required<LocalOciOptions>;
  readonly #router: Router;
  readonly #streams: Streams;

  private constructor(options: Required<LocalOciOptions>, buckets: Buckets, streams: Streams) {
    this.#options = options;
    this.#streams = streams;
    this.telemetry = new Telemetry(options.folder);
    this.#router = new Router([
      ...objectOperations(options.namespace, buckets),
      ...streamOperations({ streams, endpoint: () => this.endpoint, now: options.now }),
      ...telemetryOperations(this.telemetry, options.now),
    ]);
    this.#server = createServer((request, response) => void this.#serve(request, response));
    // An upload takes as long as it takes.
    this.#server.requestTimeout = 0;
  }

  /** Reads the folder and listens. */
  static async start(given: LocalOciOptions): Promise<LocalOci> {
    const address = { host: "127.0.0.1", name: "127.0.0.1", port: 0 };
    const defaults = { ...address, namespace: "local", streams: [], minPartBytes: 10 * 1024 * 1024, now: Date.now };
    const options = { ...defaults, ...given };
    const buckets = await Buckets.open(join(options.folder, "buckets"), options.minPartBytes);
    const streams = await Streams.open(join(options.folder, "streams"));
    for (const id of options.streams) await streams.ensure(id);
    const local = new LocalOci(options, buckets, streams);
    local.#server.listen(options.port, options.host);
    await once(local.#server, "listening");
    return local;
  }

  /** Where it listens: the endpoint of every service. */
  get endpoint(): string {
    // A server that listens on TCP has an address and a port.
    const { port } = this.#server.address() as AddressInfo;
    return `http://${this.#options.name}:${port}`;
  }

  /** Ends at once: what is under way is cut off. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    await this.#streams.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID().replaceAll("-", "").toUpperCase();
    response.setHeader("opc-request-id", requestId);
    const clientId = request.headers["opc-client-request-id"];
    if (clientId !== undefined) response.setHeader("opc-client-request-id", clientId);
    try {
      const { reply, fault } = await this.#answer(request);
      await send(response, reply, fault);
    } catch (error) {
      refuse(request, response, error);
    }
  }

  async #answer(request: IncomingMessage): Promise<{ reply: Reply; fault: Fault | undefined }> {
    const url = new URL(request.url ?? "/", this.endpoint);
    // Of the container that it runs in; OCI has no such path.
    if (url.pathname === "/health") return { reply: { status: 200, body: {} }, fault: undefined };
    const match = this.#router.find(request.method ?? "", url.pathname);
    if (!match) {
      this.unknown.push(`${request.method} ${url.pathname}`);
      throw new Refusal(404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.");
    }
    const { operation, path } = match;
    this.calls.set(operation.name, (this.calls.get(operation.name) ?? 0) + 1);
    const fault = this.faults.next(operation.name);
    await befall(request, fault);
    const isSigned = hasSignedBody(operation);
    authenticate(request, this.#options.keys, isSigned, this.#options.now());
    const body = operation.body === "bytes" ? Buffer.alloc(0) : await wholeBody(request, isSigned);
    return { reply: await operation.answer({ path, query: url.searchParams, request, body, fault }), fault };
  }
}

function hasSignedBody({ method, body }: Operation): boolean {
  return (method === "POST" || method === "PUT") && body === undefined;
}

/** What goes wrong before anything is done. */
async function befall(request: IncomingMessage, fault: Fault | undefined): Promise<void> {
  switch (fault?.kind) {
    case "refuse": {
      const { status, code, retryAfterSeconds } = fault;
      const headers = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
      throw new Refusal(status, code, "as the test wanted it", headers);
    }
    case "delay":
      await delay(fault.ms);
      return;
    case "reset":
      request.socket.resetAndDestroy();
      throw new Error("reset");
    case "cut":
    case "lose-reply":
    case "throttle-entries":
    case undefined:
  }
}

async function send(
  response: ServerResponse,
  { status, headers, body }: Reply,
  fault: Fault | undefined,
): Promise<void> {
  if (fault?.kind === "lose-reply") {
    response.socket?.resetAndDestroy();
    return;
  }
  response.writeHead(status, { ...(isJson(body) && { "content-type": "application/json" }), ...headers });
  if (body === undefined) {
    response.end();
  } else if (isJson(body)) {
    response.end(JSON.stringify(body));
  } else {
    await pipeline(Readable.from(fault?.kind === "cut" ? cut(body, fault.afterBytes) : body), response);
  }
}

function isJson(body: Reply["body"]): body is string | object {
  return typeof body === "string" || (body !== undefined && !(Symbol.asyncIterator in body));
}

async function* cut(body: AsyncIterable<Uint8Array>, afterBytes: number): AsyncGenerator<Uint8Array> {
  let left = afterBytes;
  for await (const chunk of body) {
    yield chunk.subarray(0, left);
    left -= chunk.byteLength;
    if (left <= 0) throw new Error("cut off");
  }
}

/** Answers an error as OCI does. What nobody foresaw, and what came too late for an answer, ends the connection. */
function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const known = error instanceof Refusal ? error : new Refusal(500, "InternalServerError", String(error));
  const body = JSON.stringify({ code: known.code, message: known.message });
  // The rest of a body that was refused is not read: after the answer the connection is of no use.
  const isUnread = !request.complete;
  const hasBody = known.status !== 304;
  response.writeHead(known.status, {
    ...(hasBody && { "content-type": "application/json" }),
    ...(isUnread && { connection: "close" }),
    ...known.headers,
  });
  response.end(hasBody ? body : undefined);
}
