import { Agent, request as httpRequest } from "node:http";
import { Agent as SecureAgent, request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import type { Fetch, Reply } from "./transport.ts";

/** Kept open between calls; more calls at once open more. */
const agent = new Agent({ keepAlive: true });
const secureAgent = new SecureAgent({ keepAlive: true });

/**
 * `fetch` for clients on Node, straight on `node:http`: measured at under half the CPU of the global one (141 µs against
 * 324 µs for a submit). Fails as `fetch` does: with a TypeError when the network fails, else the signal's reason.
 */
export const httpFetch: Fetch = (url, { method, headers, body, signal }) => {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const isSecure = url.startsWith("https:");
  const options = { method, headers, agent: isSecure ? secureAgent : agent };
  const request = (isSecure ? httpsRequest : httpRequest)(url, options, (incoming) => {
    const status = incoming.statusCode ?? 0;
    resolve({
      ok: status >= 200 && status < 300,
      status,
      statusText: incoming.statusMessage ?? "",
      headers: { get: (name) => incoming.headers[name]?.toString() ?? null },
      text: async () => (await collect(incoming)).toString("utf8"),
      bytes: () => collect(incoming),
      get body() {
        // Node's own conversion; its two stream types differ in name only.
        return Readable.toWeb(incoming) as ReadableStream<Uint8Array>;
      },
    });
  });
  request.on("error", (cause) => reject(signal?.aborted ? signal.reason : failure(cause)));
  // Not the option `signal`: what it hangs on every stream costs more than the rest of the call.
  signal?.addEventListener("abort", () => request.destroy(), { once: true });
  request.end(body);
  return promise;
};

function collect(incoming: Readable): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  incoming.on("end", () => resolve(Buffer.concat(chunks)));
  incoming.on("error", (cause) => reject(failure(cause)));
  return promise;
}

function failure(cause: Error): TypeError {
  return new TypeError("the connection failed", { cause });
}
