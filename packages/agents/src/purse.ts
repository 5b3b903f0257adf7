import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { APICallError } from "@ai-sdk/provider";
import {
  type Budget,
  type Failure,
  type Journal,
  type Payment,
  spendOf,
  TaskError,
  type TokenCount,
} from "@flotilla/workflow";
import { PostponedError } from "./guard.ts";
import type { Model } from "./models/model.ts";

/** A token of a byte-pair vocabulary holds about four bytes of English and three of most other languages. */
const bytesPerToken = 3;

const defaultMaxOutputTokens = 4096;

/** A task whose call waits for what others have set apart asks again after this, in ms. */
const askAgainMs = 2000;

export interface PurseOptions {
  journal: Pick<Journal, "hold" | "release">;
  model: Model;
  /** Of the workflow; without one nothing is set apart, and everything is counted all the same. */
  budget: Budget | undefined;
  signal: AbortSignal;
}

/**
 * Pays for the calls of a model: what a call may cost at most is set apart before it is made, and what it did cost is on
 * record with its result. Of a call that nobody knows the end of, what was set apart counts as spent.
 */
export class Purse {
  readonly #options: PurseOptions;
  #underWay = 0;

  constructor(options: PurseOptions) {
    this.#options = options;
  }

  /** The most tokens that an answer may have; undefined where no budget bounds it. */
  get maxOutputTokens(): number | undefined {
    return this.#budget && (this.#options.model.maxOutputTokens ?? defaultMaxOutputTokens);
  }

  /** What runs in this process is paid to nobody. */
  get #budget(): Budget | undefined {
    return this.#options.model.provider === undefined ? undefined : this.#options.budget;
  }

  /** Makes a call whose request has that many bytes; its hold is ended here only where the call cost nothing. */
  async call<T>(requestBytes: number, call: () => Promise<T>): Promise<{ result: T; hold?: string }> {
    const hold = await this.#hold(requestBytes);
    if (hold === undefined) return { result: await call() };
    this.#underWay++;
    try {
      return { result: await call(), hold };
    } catch (error) {
      // The provider said no. Without an answer of its own it may have done the work, and charge for it.
      if (APICallError.isInstance(error) && error.statusCode !== undefined) await this.#options.journal.release(hold);
      throw error;
    } finally {
      this.#underWay--;
    }
  }

  /** What goes on record with the result of a call; undefined for one that cost nothing. */
  payment(tokens: TokenCount, hold?: string): Payment | undefined {
    const spend = spendOf(tokens, this.#options.model.price);
    if (hold === undefined && spend.input + spend.output === 0) return undefined;
    return { spend, ...(hold === undefined ? {} : { hold }) };
  }

  async #hold(requestBytes: number): Promise<string | undefined> {
    const { journal, model, signal } = this.#options;
    const [budget, output] = [this.#budget, this.maxOutputTokens];
    if (!budget || output === undefined) return undefined;
    if (budget.microUsd !== undefined && !model.price) {
      throw overBudget({
        code: "model-without-price",
        message: `nobody knows what ${model.name} costs: name its price in MODEL_PRICES`,
      });
    }
    const atMost = { input: Math.ceil(requestBytes / bytesPerToken), output };
    const hold = randomUUID();
    for (;;) {
      signal.throwIfAborted();
      switch (await journal.hold(hold, spendOf(atMost, model.price))) {
        case "held":
          return hold;
        case "busy":
          // A run that ended now would lose what its other calls are about to be given, and charged for.
          if (this.#underWay === 0) throw new PostponedError({ reason: "budget", of: "workflow", forMs: askAgainMs });
          await delay(askAgainMs, undefined, { signal });
          break;
        case "exhausted":
          throw overBudget({
            code: "budget-exhausted",
            message: "the next call of a model may cost more than is left",
          });
      }
    }
  }
}

function overBudget(failure: Pick<Failure, "code" | "message">): TaskError {
  return new TaskError({ class: "budget", ...failure });
}
