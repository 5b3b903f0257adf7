import { setTimeout as delay } from "node:timers/promises";
import type { DurabilitySettings } from "@flotilla/runtime";
import { StoreUnavailableError, UnknownOutcomeError } from "@flotilla/workflow";
import { Cluster } from "ioredis";
import type { Connection } from "./connection.ts";
import type { Reply } from "./scripts.ts";

/** How long replicas may take; below what a command that fails fast may take, so that it is this that is answered. */
const waitMs = 800;

/** `WAITAOF` came with Redis 7.2, and with Valkey, which answers as 7.2 and tells its own version beside it. */
const waitAofSince = [7, 2] as const;

const moveTries = 5;
const movedDelayMs = 100;

/** A script ready to be sent: its hash, its text for a node that has not got it, and its arguments. */
export interface DurableCall {
  sha: string;
  text: string;
  args: readonly (string | number)[];
}

interface Waiting {
  call: DurableCall;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

/** What a master answers for one pipeline: error or reply, command by command. */
type Replies = [error: Error | null, reply: unknown][];

/**
 * Sends scripts so that what they wrote outlives the master: in one pipeline, on the very connection to the master of
 * the slot, go the scripts, a mark and a `WAIT`, and they count as done when enough replicas have the mark.
 *
 * The mark is a write of its own, behind what the scripts wrote. `WAIT` is promised to cover the writes of its own
 * connection (Redis 7.0 covers more, by chance): a repeated submit writes nothing, and on another connection than the
 * first it might be confirmed though no replica has ever seen the first.
 */
export class DurableWriter {
  readonly #connection: Connection;
  readonly #replicas: number;
  /** By shard: what is sent together, once the pipeline under way has its answers. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #underWay = new Set<string>();
  #wait: Promise<readonly (string | number)[]> | undefined;

  /** `connection` is used for nothing else: a `WAIT` holds up all that comes behind it. */
  constructor(connection: Connection, { replicas }: Pick<DurabilitySettings, "replicas">) {
    this.#connection = connection;
    this.#replicas = replicas;
  }

  /**
   * What the script answers, once replicas have what it wrote. Rejects with `UnknownOutcomeError` when it was run, or
   * may have been, and too few have confirmed it.
   */
  write(tag: string, call: DurableCall): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const waiting = this.#waiting.get(tag) ?? [];
    waiting.push({ call, resolve, reject });
    this.#waiting.set(tag, waiting);
    queueMicrotask(() => void this.#flush(tag));
    return promise;
  }

  async #flush(tag: string): Promise<void> {
    if (this.#underWay.has(tag)) return;
    this.#underWay.add(tag);
    for (let batch = this.#take(tag); batch.length > 0; batch = this.#take(tag)) {
      try {
        const answers = await this.#send(
          tag,
          batch.map(({ call }) => call),
        );
        batch.forEach(({ resolve, reject }, index) => {
          const answer = answers[index];
          if (answer instanceof Error) reject(answer);
          else resolve(answer ?? null);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
        // They have waited for as long as a client may have to, and are not sent: nothing of them has happened.
        for (const { reject } of this.#take(tag)) reject(new StoreUnavailableError({ cause: error }));
      }
    }
    this.#underWay.delete(tag);
  }

  #take(tag: string): Waiting[] {
    const batch = this.#waiting.get(tag) ?? [];
    this.#waiting.delete(tag);
    return batch;
  }

  async #send(tag: string, calls: readonly DurableCall[]): Promise<(Reply | Error)[]> {
    const wait = await this.#waitCommand();
    let isLoaded = true;
    for (let tries = 1; ; tries++) {
      const replies = await this.#exec(tag, calls, wait, isLoaded);
      const errors = replies.slice(0, calls.length).map(([error]) => error?.message ?? "");
      if (tries < moveTries && errors.every((message) => message.startsWith("NOSCRIPT"))) {
        isLoaded = false;
      } else if (tries < moveTries && errors.every((message) => /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)/.test(message))) {
        // Nothing was run. ioredis does not follow a redirection of part of a pipeline.
        await this.#findMaster();
      } else {
        return this.#judge(replies, calls.length);
      }
    }
  }

  async #exec(
    tag: string,
    calls: readonly DurableCall[],
    wait: readonly (string | number)[],
    isLoaded: boolean,
  ): Promise<Replies> {
    const pipeline = this.#connection.pipeline();
    for (const { sha, text, args } of calls) {
      if (isLoaded) pipeline.evalsha(sha, 1, tag, ...args);
      else pipeline.eval(text, 1, tag, ...args);
    }
    pipeline.incr(`${tag}:mark`);
    const [name = "", ...rest] = wait.map(String);
    pipeline.call(name, ...rest);
    // Null only for a transaction, which this is not.
    return (await pipeline.exec()) ?? [];
  }

  #judge(replies: Replies, count: number): (Reply | Error)[] {
    const scripts = replies.slice(0, count);
    if (scripts.every(([error]) => error)) return scripts.map(([error]) => error ?? new Error("no answer"));
    const [markError] = replies[count] ?? [];
    const [waitError, confirmed] = replies[count + 1] ?? [];
    const error = markError ?? waitError;
    if (error) throw new UnknownOutcomeError({ cause: error });
    // WAIT answers a number, WAITAOF the local and the replicas' one.
    const [local, replicas] = Array.isArray(confirmed) ? confirmed.map(Number) : [1, Number(confirmed)];
    if ((local ?? 0) < 1 || (replicas ?? 0) < this.#replicas) {
      const cause = new Error(`${replicas ?? 0} of ${this.#replicas} replicas confirmed the write in ${waitMs} ms`);
      throw new UnknownOutcomeError({ cause });
    }
    // What a script answers is a Reply.
    return scripts.map(([scriptError, reply]) => scriptError ?? (reply as Reply));
  }

  /** Asked of the server once, and again after it could not be asked. */
  #waitCommand(): Promise<readonly (string | number)[]> {
    this.#wait ??= this.#askVersion().then(
      (knowsAof) => (knowsAof ? ["WAITAOF", 1, this.#replicas, waitMs] : ["WAIT", this.#replicas, waitMs]),
      (error: unknown) => {
        this.#wait = undefined;
        throw error;
      },
    );
    return this.#wait;
  }

  async #askVersion(): Promise<boolean> {
    const info = await this.#connection.info();
    const [major = 0, minor = 0] = (/^redis_version:(\d+)\.(\d+)/m.exec(info) ?? []).slice(1).map(Number);
    return major > waitAofSince[0] || (major === waitAofSince[0] && minor >= waitAofSince[1]);
  }

  async #findMaster(): Promise<void> {
    const connection = this.#connection;
    if (connection instanceof Cluster) {
      await new Promise<void>((resolve) => connection.refreshSlotsCache(() => resolve()));
    }
    await delay(movedDelayMs);
  }
}
