import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@flotilla/client";
import { hasEnded } from "@flotilla/client";
import type { Ledger } from "./ledger.ts";
import type { Work } from "./work.ts";

export interface LoadOptions {
  client: Client;
  ledger: Ledger;
  /** What the workflow of that number does. */
  work: (number: number) => Work;
  /** Workflows to submit in all; without a limit it goes on until `stop`. */
  total?: number;
  /** At most so many a second. */
  perSecond: number;
  /** Most workflows that have not ended. */
  open: number;
  /** Whether each try has a key of its own, as of a client that knows no idempotency keys: the negative control. */
  isKeyless?: boolean;
}

/** Calls at once. */
const submitters = 12;

/** How long a client without keys waits for an answer before it tries anew, in ms. */
const tryMs = 1000;

/** How often it is asked which workflows are open, in ms. */
const countEveryMs = 200;

/** Submits workflows, each again and again under its key until it is acknowledged, and enters them in the ledger. */
export class Load {
  readonly #options: LoadOptions;
  readonly #stopping = new AbortController();
  readonly #startedAt = performance.now();
  #submitted = 0;
  #open = 0;
  #done: Promise<void> | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  start(): void {
    const counting = this.#count();
    const submitting = Promise.all(Array.from({ length: submitters }, () => this.#submitSome()));
    this.#done = submitting.then(() => {
      this.#stopping.abort();
      return counting;
    });
    // Whoever waits for `finished` or `stop` is told.
    this.#done.catch(() => undefined);
  }

  /** Resolves when all are acknowledged. */
  async finished(): Promise<void> {
    await this.#done;
  }

  /** Submits no more; resolves when what was submitted is acknowledged. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #submitSome(): Promise<void> {
    const { ledger, work, total = Infinity, perSecond, open } = this.#options;
    while (!this.#stopping.signal.aborted && this.#submitted < total) {
      const seconds = (performance.now() - this.#startedAt) / 1000;
      if (this.#open >= open || this.#submitted >= seconds * perSecond) {
        await delay(10);
        continue;
      }
      const number = ++this.#submitted;
      this.#open++;
      const { request, tasks, effectsOf } = work(number);
      const idempotencyKey = `chaos-${number}`;
      const id = await this.#submit(request, idempotencyKey);
      await ledger.record({ id, idempotencyKey, at: Date.now(), tasks, effects: effectsOf(id) });
    }
  }

  async #submit(request: Work["request"], idempotencyKey: string): Promise<string> {
    const { client, isKeyless = false } = this.#options;
    if (!isKeyless) return (await client.submit(request, { idempotencyKey })).id;
    for (let attempt = 1; ; attempt++) {
      const options = { idempotencyKey: `${idempotencyKey}-${attempt}`, signal: AbortSignal.timeout(tryMs) };
      const answer = await client.submit(request, options).catch(() => undefined);
      if (answer) return answer.id;
    }
  }

  async #count(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const before = this.#submitted;
      const open = await openWorkflows(this.#options.client).catch(() => undefined);
      if (open !== undefined) this.#open = open + (this.#submitted - before);
      await delay(countEveryMs);
    }
  }
}

/** How many workflows have not ended, as far as one page of each list tells. */
export async function openWorkflows(client: Client): Promise<number> {
  const statuses = ["queued", "planning", "running", "waiting"] as const;
  const pages = await Promise.all(statuses.map((status) => client.list({ status, limit: 200 })));
  return pages.flatMap(({ workflows }) => workflows).filter(({ status }) => !hasEnded(status)).length;
}
