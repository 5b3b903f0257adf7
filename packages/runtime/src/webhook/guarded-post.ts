import { lookup, Resolver } from "node:dns/promises";
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { hostOf, isPublicAddress } from "./callback-address.ts";

/** An address that a name stands for. */
export interface Resolved {
  address: string;
  family: 4 | 6;
}

const privateAddress = "the name stands for an address that is not of the public internet";

/** Turns a name into addresses. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<Resolved[]>;

/** What is sent, and how it is guarded. */
export interface GuardedPost {
  url: URL;
  headers: Record<string, string>;
  body: string;
  /** Whether an operator vouches for the host: then its address may be any. */
  isTrusted: boolean;
  resolve: Resolve;
}

/**
 * Posts and resolves to the status of the answer, of which nothing else is read; a redirect is an answer like any other.
 * The name is resolved once, and the connection goes to an address that was checked: a name that stands for another one
 * a moment later gains nothing.
 */
export async function guardedPost(
  { url, headers, body, isTrusted, resolve }: GuardedPost,
  signal: AbortSignal,
): Promise<number> {
  const host = hostOf(url);
  const family = isIP(host);
  const addresses =
    family === 0 ? await resolve(host, signal) : [{ address: host, family: family === 6 ? 6 : 4 } as const];
  // One private address among public ones is enough to be refused: which of them is taken would be chance.
  if (!isTrusted && !addresses.every(({ address }) => isPublicAddress(address))) throw new Error(privateAddress);
  const [first] = addresses;
  if (!first) throw new Error("the name stands for no address");
  const options: RequestOptions = {
    method: "POST",
    headers: { ...headers, "content-length": Buffer.byteLength(body) },
    // A connection that is kept would be to an address that was checked long ago.
    agent: false,
    signal,
    lookup: (_host, { all }, found) => (all ? found(null, addresses) : found(null, first.address, first.family)),
  };
  const { promise, resolve: answered, reject } = Promise.withResolvers<number>();
  const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
  request.on("error", reject);
  request.on("response", (response) => {
    answered(response.statusCode ?? 0);
    response.destroy();
  });
  request.end(body);
  return promise;
}

const resolverOptions = { timeout: 2000, tries: 2 };

/** By DNS alone: what the machine calls its neighbours counts for nothing, and no thread is held while nobody answers. */
export const resolvePublic: Resolve = async (host, signal) => {
  const resolver = new Resolver(resolverOptions);
  const cancel = () => resolver.cancel();
  signal.addEventListener("abort", cancel);
  try {
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = [
      ...(four.status === "fulfilled" ? four.value.map((address) => ({ address, family: 4 as const })) : []),
      ...(six.status === "fulfilled" ? six.value.map((address) => ({ address, family: 6 as const })) : []),
    ];
    if (found.length === 0 && four.status === "rejected") throw four.reason;
    return found;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
};

/** As everything else on this machine resolves names. */
export const resolveLocal: Resolve = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};
