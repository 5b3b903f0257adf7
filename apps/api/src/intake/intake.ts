import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { CallbackRules, Logger, Metrics, Service } from "@flotilla/runtime";
import type {
  DeadLetters,
  ReceivedMessage,
  StreamReader,
  StreamReaderOptions,
  WorkflowStore,
} from "@flotilla/workflow";
import { RecentAgents } from "../agent-catalog.ts";
import { Problem } from "../problem.ts";
import { bury, isUnknownAgent, type MessageDeps, submitMessage } from "./message.ts";

/** The group that all processes of a fleet belong to. */
const group = "flotilla-intake";

/** A process that is silent for this long leaves what it has to others, in ms. */
const memberTimeoutMs = 10_000;

/** How long it waits when there is nothing, in ms. */
const pollMs = 250;

/** How long it waits when the stream or Redis is away, in ms. */
const patienceMs = 1000;

/** How often the metric is set, in ms: it grows also while a call waits. */
const tellEveryMs = 500;

/** Workflows stored at once. */
const storedAtOnce = 50;

/**
 * A fleet that has lost its registry has it again after this time, in ms. A message is given that time once a minute, so
 * that senders of nonsense hold nobody up for long.
 */
const registryMs = 6000;
const registryAgainMs = 60_000;

export interface IntakeOptions {
  /** Whose workflows the messages become. */
  tenant: string;
  streamId: string;
  open(streamId: string, options: StreamReaderOptions): StreamReader;
  store: Pick<WorkflowStore, "submit" | "agents">;
  deadLetters: Pick<DeadLetters, "add">;
  /** Which callbacks are accepted; none are unless given. */
  callbacks?: CallbackRules;
  metrics: Metrics;
  logger: Logger;
}

/**
 * Turns the messages of a stream into workflows. A message that comes again is the same workflow, for its place in the
 * stream is its idempotency key; what can never be one is noted with its reason, and holds nothing up. Messages are
 * committed when all before them are stored or noted, so that one that is killed loses none.
 */
export class Intake implements Service {
  readonly #options: IntakeOptions;
  readonly #deps: MessageDeps;
  readonly #reader: StreamReader;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #teller: NodeJS.Timeout | undefined;
  /** Since when it has been waiting for its stream or for Redis, in the time of `performance.now()`. */
  #blockedAt: number | undefined;
  #waitedAt = -Infinity;

  constructor(options: IntakeOptions) {
    const { tenant, streamId, store, deadLetters, callbacks } = options;
    this.#options = options;
    this.#deps = { tenant, streamId, store, deadLetters, agents: new RecentAgents(store), callbacks };
    this.#reader = options.open(streamId, {
      group,
      instance: randomUUID(),
      from: "oldest",
      timeoutMs: memberTimeoutMs,
    });
  }

  async start(): Promise<void> {
    this.#teller = setInterval(() => this.#tell(), tellEveryMs).unref();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#teller);
    await this.#loop;
    await this.#reader.close();
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const messages = await this.#untilDone(() => this.#reader.receive(this.#stopping.signal));
      if (!messages) return;
      await this.#take(messages);
      // What is under way when it stops is not committed, and comes again.
      if (this.#isStopping) return;
      if (messages.length > 0) await this.#untilDone(() => this.#reader.commit(this.#stopping.signal));
      else await this.#pause(pollMs);
      this.#blockedAt = undefined;
    }
  }

  async #take(messages: readonly ReceivedMessage[]): Promise<void> {
    const left = messages.values();
    await Promise.all(
      Array.from({ length: storedAtOnce }, async () => {
        // One iterator for all of them.
        for (const message of left) {
          const outcome = await this.#untilDone(() => this.#settle(message));
          if (outcome === undefined) return;
          this.#options.metrics.intakeMessages.inc({ outcome });
        }
      }),
    );
  }

  async #settle(message: ReceivedMessage) {
    try {
      return await this.#submit(message);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const { partition, offset } = message;
      this.#options.logger.warn({ err: error, stream: this.#deps.streamId, partition, offset }, "a message is refused");
      await bury(this.#deps, message, error);
      return "dead";
    }
  }

  async #submit(message: ReceivedMessage) {
    try {
      return await submitMessage(this.#deps, message);
    } catch (error) {
      if (!isUnknownAgent(error)) throw error;
      const now = performance.now();
      // All messages that are refused for it in the meantime wait together.
      if (now - this.#waitedAt >= registryAgainMs) this.#waitedAt = now;
      const leftMs = this.#waitedAt + registryMs - now;
      if (leftMs <= 0) throw error;
      await this.#pause(leftMs);
      return submitMessage(this.#deps, message);
    }
  }

  /** Does it again until it is done; undefined when the process stops first. */
  async #untilDone<T>(work: () => Promise<T>): Promise<T | undefined> {
    while (!this.#isStopping) {
      const began = performance.now();
      try {
        return await work();
      } catch (error) {
        if (this.#isStopping) return undefined;
        this.#blockedAt ??= began;
        this.#options.logger.warn({ err: error, stream: this.#deps.streamId }, "the intake waits");
        await this.#pause(patienceMs);
      }
    }
    return undefined;
  }

  #tell(): void {
    const seconds = this.#blockedAt === undefined ? 0 : (performance.now() - this.#blockedAt) / 1000;
    this.#options.metrics.intakeBlockedSeconds.set({ stream: this.#deps.streamId }, seconds);
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
