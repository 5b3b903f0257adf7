import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * What the proxy does to bytes:
 * `pass` nothing · `cut` resets every connection, old and new · `silent` keeps connections open, accepts new
 * ones, and swallows both directions · `hold` keeps what comes until
 * another fault is set and brings it then, as a network does that loses packets · `delay` holds both directions back by `ms`, in order · `dropReplies` lets
 * requests through and swallows the answers, so that what was asked happens and nobody hears of it.
 */
export type Fault =
  | { kind: "pass" }
  | { kind: "cut" }
  | { kind: "silent" }
  | { kind: "hold" }
  | { kind: "delay"; ms: number }
  | { kind: "dropReplies" }
  | { kind: "abandon" };

/** A TCP proxy on 127.0.0.1 between a client and a server under test. */
export interface FaultProxy {
  readonly port: number;
  readonly url: string;
  /** From now on, for open connections too. Bytes that were swallowed do not come back. */
  set(fault: Fault): void;
  stop(): Promise<void>;
}

/** Starts a proxy to a port of 127.0.0.1, in mode `pass`. */
export async function faultProxy(targetPort: number): Promise<FaultProxy> {
  let fault: Fault = { kind: "pass" };
  let changed = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const upstreams = new Map<Socket, Socket>();
  const join = (client: Socket, upstream: Socket) => {
    upstreams.set(client, upstream);
    for (const socket of [client, upstream]) sockets.add(socket.setNoDelay(true).on("error", () => {}));
    client.on("close", () => {
      sockets.delete(client);
      upstreams.delete(client);
      upstream.destroy();
    });
    upstream.on("close", () => {
      sockets.delete(upstream);
      // A client that was abandoned is not told.
      if (upstreams.has(client)) client.destroy();
    });
  };

  const server = createServer((client) => {
    if (fault.kind === "cut") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(targetPort, "127.0.0.1");
    join(client, upstream);
    const state = { fault: () => fault, changed: () => changed.promise };
    void pump(client, upstream, state, "request");
    void pump(upstream, client, state, "reply");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP listener without a port");

  return {
    port: address.port,
    url: `redis://127.0.0.1:${address.port}`,
    set(next) {
      fault = next;
      changed.resolve();
      changed = Promise.withResolvers();
      if (fault.kind === "cut") for (const socket of sockets) socket.resetAndDestroy();
      if (fault.kind === "abandon") {
        const abandoned = [...upstreams.values()];
        upstreams.clear();
        for (const upstream of abandoned) upstream.destroy();
      }
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

interface ProxyState {
  fault(): Fault;
  /** Resolves when another fault is set. */
  changed(): Promise<void>;
}

/** Carries one direction. The fault is asked again for each piece, after its delay too. */
async function pump(
  from: Socket,
  to: Socket,
  { fault, changed }: ProxyState,
  direction: "request" | "reply",
): Promise<void> {
  try {
    for await (const piece of from) {
      const now = fault();
      if (now.kind === "delay") await sleep(now.ms);
      while (fault().kind === "hold") await changed();
      const { kind } = fault();
      const isSwallowed = kind === "silent" || (kind === "dropReplies" && direction === "reply");
      if (!isSwallowed && !to.destroyed) to.write(piece);
    }
  } catch {
    // A reset connection; its close ends the other side.
  }
}
