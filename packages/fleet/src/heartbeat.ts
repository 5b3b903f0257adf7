import { setTimeout as delay } from "node:timers/promises";
import { Cluster, type Redis } from "ioredis";

const beatEveryMs = 1000;

/**
 * Pings the peers of a connection once a second, and breaks with one that has been silent for `silentMs`, so that the
 * driver connects anew. A peer whose machine died, or whose side of the connection was forgotten on the way, gives no
 * error: without this a connection waited for the kernel to give up, a quarter of an hour, and a subscription for ever.
 *
 * The driver's own `socketTimeout` is not used: its timer outlives the connection that it was started on and breaks the
 * next one, in the middle of good work after an outage (ioredis 5.11). Returns how to end the watch.
 */
export function watchPeers(connection: Redis | Cluster, silentMs: number): () => void {
  const watch = new PeerWatch(silentMs, !(connection instanceof Cluster));
  const peers = () => (connection instanceof Cluster ? connection.nodes() : [connection]);
  const beating = setInterval(() => peers().forEach((peer) => void watch.beat(peer)), beatEveryMs).unref();
  return () => clearInterval(beating);
}

class PeerWatch {
  readonly #silentMs: number;
  /** A cluster forgets a node that has ended, and finds it again when it refreshes its slots. */
  readonly #reconnects: boolean;
  readonly #watched = new WeakSet<Redis>();

  constructor(silentMs: number, reconnects: boolean) {
    this.#silentMs = silentMs;
    this.#reconnects = reconnects;
  }

  async beat(peer: Redis): Promise<void> {
    if (this.#watched.has(peer)) return;
    const { status, stream } = peer;
    // `connect`: the greetings of a new connection are not answered.
    if (status !== "ready" && status !== "connect") return;
    this.#watched.add(peer);
    const isAlive = status === "ready" ? await this.#answers(peer) : await this.#leaves(peer, status);
    this.#watched.delete(peer);
    if (!isAlive && peer.status === status && peer.stream === stream) peer.disconnect(this.#reconnects);
  }

  async #answers(peer: Redis): Promise<boolean> {
    let isAnswered = false;
    // An error is a sign of life too, unless it is the driver's own word for an answer that did not come.
    const ping = peer.ping().then(
      () => (isAnswered = true),
      (error: unknown) => (isAnswered = !isTimeout(error)),
    );
    await Promise.race([ping, this.#silence()]);
    // After a long turn of the event loop the timer comes before the answer that has been there for long.
    if (!isAnswered) await new Promise(setImmediate);
    return isAnswered;
  }

  async #leaves(peer: Redis, status: string): Promise<boolean> {
    await this.#silence();
    return peer.status !== status;
  }

  #silence(): Promise<void> {
    return delay(this.#silentMs, undefined, { ref: false });
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === "Command timed out";
}
