import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as TlsAgent, request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { HttpClient, HttpRequest } from "oci-common";
import { failureOf, OciFailure } from "./failure.ts";
import type { Signer } from "./signer.ts";

/** How long a connection may be silent while bytes are to flow. */
const idleMs = 30_000;

/** One attempt of one call, as its request finds it. */
interface Attempt {
  operation: string;
  signal: AbortSignal;
  /** Why it failed; the SDK would make a plain object of it, and lose what is in the headers. */
  failure?: OciFailure;
}

const attempts = new AsyncLocalStorage<Attempt>();

/**
 * The HTTP below the SDK's clients. Theirs has no way to end a request, hides what the network said, loses `Retry-After`
 * and, to see whether a body is empty, lists each of its bytes as a key.
 */
export class Transport implements HttpClient {
  readonly #signer: Signer;
  readonly #agents = { http: new Agent({ keepAlive: true }), https: new TlsAgent({ keepAlive: true }) };

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  /** Runs one attempt of a call of a client. Rejects with an `OciFailure`, or with the reason of the signal. */
  static async attempt<T>(operation: string, call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const attempt: Attempt = { operation, signal };
    try {
      return await attempts.run(attempt, call);
    } catch (error) {
      signal.throwIfAborted();
      throw (
        attempt.failure ?? new OciFailure("refused", operation, { message: "the SDK refused the call", cause: error })
      );
    }
  }

  /** For the strategy by which the SDK asks whether to go on: never, and the failure goes to the caller as it is. */
  static giveUp(): never {
    throw attempts.getStore()?.failure ?? new Error("the call was not made by Transport.attempt");
  }

  async send(given: HttpRequest, bodyIsUnsigned = false): Promise<Response> {
    const attempt = attempts.getStore();
    if (!attempt) throw new Error("a call to OCI was made outside of Transport.attempt");
    try {
      return await this.#exchange(given, bodyIsUnsigned, attempt);
    } catch (error) {
      attempt.failure =
        error instanceof OciFailure
          ? error
          : new OciFailure("unavailable", attempt.operation, { message: wordsOf(error), cause: error });
      throw attempt.failure;
    }
  }

  /** A new token, if there is a way to one. */
  refresh(): Promise<boolean> {
    return this.#signer.refresh();
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  async #exchange(given: HttpRequest, bodyIsUnsigned: boolean, { operation, signal }: Attempt): Promise<Response> {
    const { method, headers } = given;
    const url = new URL(given.uri);
    const target = `${url.pathname}${url.search}`;
    const hasBody = method === "PUT" || method === "POST";
    const body = bytesOf(given.body);
    if (hasBody) headers.set("content-length", String(body.byteLength));
    const signing = this.#signer.sign(
      { method, target, host: url.host, headers },
      hasBody && !bodyIsUnsigned ? body : undefined,
    );
    await untilAborted(signing, signal);

    const options = { method, path: target, host: url.hostname, port: url.port, headers: Object.fromEntries(headers) };
    const request =
      url.protocol === "https:"
        ? requestHttps({ ...options, agent: this.#agents.https })
        : requestHttp({ ...options, agent: this.#agents.http });
    const response = await answerTo(request, body, signal);
    const answered = headersOf(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw failureOf(operation, status, answered, await text(response));
    const isEmpty = method === "HEAD" || status === 204;
    if (isEmpty) response.resume();
    // A web stream of Node is one of the web; the types only come from different places.
    const content = isEmpty ? null : (Readable.toWeb(response) as ReadableStream<Uint8Array>);
    return new Response(content, { status, headers: answered });
  }
}

/** Sends the request and resolves with the answer when its headers are here. The signal ends it also later. */
async function answerTo(request: ClientRequest, body: Uint8Array, signal: AbortSignal): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const abort = () => request.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  signal.addEventListener("abort", abort, { once: true });
  request.once("close", () => signal.removeEventListener("abort", abort));
  request.setTimeout(idleMs, () => request.destroy(new Error(`the connection was silent for ${idleMs} ms`)));
  // Once the answer has begun, errors go to whoever reads it; without a listener they would end the process.
  request.on("error", () => {});
  const answered = once(request, "response");
  request.end(body);
  // The event `response` has this one argument.
  const [response] = (await answered) as [IncomingMessage];
  return response;
}

function headersOf(response: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers.set(name, String(value));
  }
  return headers;
}

/** The SDK's clients are given bytes or make JSON. */
function bytesOf(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array();
  if (typeof body === "string") return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  throw new TypeError("a body is text or bytes: a stream could not be sent again");
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** Leaves work that cannot be ended to itself. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
