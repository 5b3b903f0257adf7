import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { Connection } from "./connection.ts";
import type { DurableWriter } from "./durable.ts";

type Argument = string | number;

/** What a script answers, as Redis sends it. */
export type Reply = string | number | null | Reply[];

interface Source {
  text: string;
  sha: string;
}

const folder = new URL("./lua/", import.meta.url);
const prelude = readFileSync(new URL("prelude.lua", folder), "utf8");

/** Every script of lua/ but the prelude, which stands before each. */
const sources: ReadonlyMap<string, Source> = new Map(
  readdirSync(folder)
    .filter((file) => file.endsWith(".lua") && file !== "prelude.lua")
    .map((file) => {
      const text = `${prelude}\n${readFileSync(new URL(file, folder), "utf8")}`;
      return [file.slice(0, -".lua".length), { text, sha: createHash("sha1").update(text).digest("hex") }];
    }),
);

/** More items than this are cut into several calls, so that no call holds Redis for long. */
const mostItems = 200;

interface Call {
  source: Source;
  isDurable: boolean;
  tag: string;
  args: Argument[];
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

interface Batch {
  name: string;
  isDurable: boolean;
  tag: string;
  head: readonly Argument[];
  items: { args: readonly Argument[]; resolve(reply: Reply): void; reject(error: unknown): void }[];
}

/**
 * Runs the scripts of lua/. What is asked in one turn of the event loop goes to Redis in one call per script and
 * shard: the more there is to do, the less each costs.
 */
export class Scripts {
  readonly #connection: Connection;
  readonly #durable: DurableWriter | undefined;
  #batches = new Map<string, Batch>();
  #calls: Call[] = [];
  #isFlushing = false;

  /** With a `durable` writer, what is to outlive a failover goes through it; else it goes as everything else. */
  constructor(connection: Connection, durable?: DurableWriter) {
    this.#connection = connection;
    this.#durable = durable;
  }

  /** One item of a script that takes a list; `head` is what stands before the list, the same for all items of a turn. */
  item(name: string, tag: string, args: readonly Argument[], head: readonly Argument[] = []): Promise<Reply> {
    return this.#item(name, tag, args, head, false);
  }

  /**
   * As `item`, for what somebody relies on from its answer on: a submit, a cancel, a signal, a decision of a person, the
   * intent of an effect. At the level `strict` it resolves when replicas have it, and rejects with
   * `UnknownOutcomeError` when they have not said so in time; to say it again is safe then, and needed.
   */
  durably(name: string, tag: string, args: readonly Argument[], head: readonly Argument[] = []): Promise<Reply> {
    return this.#item(name, tag, args, head, this.#durable !== undefined);
  }

  #item(
    name: string,
    tag: string,
    args: readonly Argument[],
    head: readonly Argument[],
    isDurable: boolean,
  ): Promise<Reply> {
    const key = `${name} ${tag} ${isDurable}`;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const batch = this.#batches.get(key) ?? { name, isDurable, tag, head, items: [] };
    batch.items.push({ args, resolve, reject });
    if (batch.items.length === 1) this.#batches.set(key, batch);
    if (batch.items.length >= mostItems) this.#close(key, batch);
    this.#flushSoon();
    return promise;
  }

  /** One call of a script as a whole. */
  call(name: string, tag: string, args: readonly Argument[]): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#calls.push({ source: sourceOf(name), isDurable: false, tag, args: [...args], resolve, reject });
    this.#flushSoon();
    return promise;
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      for (const [key, batch] of this.#batches) this.#close(key, batch);
      const calls = this.#calls;
      this.#calls = [];
      for (const call of calls) void this.#send(call);
    });
  }

  #close(key: string, { name, isDurable, tag, head, items }: Batch): void {
    this.#batches.delete(key);
    this.#calls.push({
      source: sourceOf(name),
      isDurable,
      tag,
      args: [...head, ...items.flatMap(({ args }) => args)],
      resolve: (reply) => {
        // Every script that takes a list answers with one entry an item.
        const answers = reply as Reply[];
        items.forEach(({ resolve }, index) => resolve(answers[index] ?? null));
      },
      reject: (error) => items.forEach(({ reject }) => reject(error)),
    });
  }

  async #send(call: Call): Promise<void> {
    if (call.isDurable) return this.#sendDurably(call);
    try {
      call.resolve((await this.#connection.evalsha(call.source.sha, 1, call.tag, ...call.args)) as Reply);
    } catch (error) {
      if (isNotLoaded(error)) await this.#load(call);
      else call.reject(error);
    }
  }

  async #sendDurably({ source, tag, args, resolve, reject }: Call): Promise<void> {
    await this.#durable?.write(tag, { ...source, args }).then(resolve, reject);
  }

  async #load(call: Call): Promise<void> {
    try {
      call.resolve((await this.#connection.eval(call.source.text, 1, call.tag, ...call.args)) as Reply);
    } catch (error) {
      call.reject(error);
    }
  }
}

function sourceOf(name: string): Source {
  const source = sources.get(name);
  if (!source) throw new Error(`no script is called ${name}`);
  return source;
}

function isNotLoaded(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
