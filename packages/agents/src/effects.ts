import { canonicalJson, type Doubt, type Journal, type Json, ShutdownError } from "@flotilla/workflow";
import { type Effect, type EffectCall, NotAppliedError } from "./effect.ts";
import type { Steps } from "./steps.ts";

/** Arguments up to so many bytes of JSON are shown to the person who settles a doubt. */
const maxShownBytes = 2048;

/** Ends a run: an effect may have happened, nobody knows, and it may not be tried again. */
class EffectInDoubtError extends Error {
  constructor(tool: string, options?: ErrorOptions) {
    super(`nobody knows whether ${tool} has happened`, options);
    this.name = "EffectInDoubtError";
  }
}

/** One effect of a run, and how it stands in the journal. */
export interface EffectStep<T> {
  /** Its key in the journal. */
  step: string;
  /** As people are told. */
  tool: string;
  input: Json;
  effect: Effect<T>;
  run(call: EffectCall): Promise<T>;
  /** The result that a person's word stands for. */
  attested(word: Json): T;
}

/** What effects need of the run that they belong to. */
export interface EffectsOptions {
  steps: Steps;
  journal: Journal;
  /** Begins the keys of effects that give none. */
  keyPrefix: string;
  signal: AbortSignal;
}

/**
 * The effects of one run of a task. Each writes its intent before it happens and its result in place of that, so a
 * later run knows which effects may have happened, and does with them what their class allows.
 */
export class Effects {
  readonly #options: EffectsOptions;
  readonly #inFlight = new Set<Promise<unknown>>();
  #doubt: Doubt | undefined;

  constructor(options: EffectsOptions) {
    this.#options = options;
  }

  /** The effect that nobody knows of whether it happened; with one, the run has ended whatever the agent made of it. */
  get doubt(): Doubt | undefined {
    return this.#doubt;
  }

  /** Resolves when no effect is under way: what is recorded of one in time is not in doubt for the next run. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  /**
   * Replays the result of an effect, or makes it happen. Throws what `Steps.run` throws, what the effect throws, and an
   * error of its own where it is in doubt.
   */
  async run<T extends Json>(effect: EffectStep<T>): Promise<T> {
    const running = this.#run(effect);
    this.#inFlight.add(running);
    try {
      return await running;
    } finally {
      this.#inFlight.delete(running);
    }
  }

  async #run<T extends Json>(asked: EffectStep<T>): Promise<T> {
    const { steps, keyPrefix, signal } = this.#options;
    const { inputHash, known } = await steps.find(asked.step, asked.input);
    const one = { ...asked, step: known?.key ?? asked.step };
    if (known && "result" in known) return this.#replayed(one, await steps.read(known), known.result);
    signal.throwIfAborted();
    const call = { key: known?.intent.key ?? one.effect.key ?? `${keyPrefix}/${steps.bare(one.step)}`, signal };
    if (!known) return this.#intend(one, inputHash, call);
    switch (one.effect.class) {
      case "idempotent":
        return this.#happen(one, inputHash, call);
      case "queryable": {
        const answer = await one.effect.query(call);
        if (answer.happened) return this.#conclude(one, inputHash, answer.result);
        return this.#happen(one, inputHash, call);
      }
      case "unsafe":
        throw this.#inDoubt(one, inputHash, call);
    }
  }

  #replayed<T extends Json>(one: EffectStep<T>, value: Json, record: Json): T {
    const isWord = typeof record === "object" && record !== null && "attested" in record;
    // The same effect with the same input recorded it, so it has the type that the effect gives.
    return isWord ? one.attested(value) : (value as T);
  }

  async #intend<T extends Json>(one: EffectStep<T>, inputHash: string, call: EffectCall): Promise<T> {
    const { step, effect } = one;
    await this.#options.journal.intend({ key: step, inputHash, intent: { class: effect.class, key: call.key } });
    if (call.signal.aborted) {
      if (call.signal.reason instanceof ShutdownError) await this.#options.journal.withdraw(step);
      throw call.signal.reason;
    }
    return this.#happen(one, inputHash, call);
  }

  async #happen<T extends Json>(one: EffectStep<T>, inputHash: string, call: EffectCall): Promise<T> {
    let value: T;
    try {
      value = await one.run(call);
    } catch (error) {
      if (error instanceof NotAppliedError) await this.#options.journal.withdraw(one.step);
      // Cut off, it is for the next run to say what becomes of it: this one has no say any more.
      else if (one.effect.class === "unsafe" && !call.signal.aborted) throw this.#inDoubt(one, inputHash, call, error);
      throw error;
    }
    return this.#conclude(one, inputHash, value);
  }

  async #conclude<T extends Json>({ step }: EffectStep<T>, inputHash: string, value: T): Promise<T> {
    const { steps, journal, signal } = this.#options;
    const text = JSON.stringify(value) ?? "null";
    // As for a step: a shutdown still keeps what has happened.
    if (signal.aborted && !(signal.reason instanceof ShutdownError)) throw signal.reason;
    await journal.conclude({ key: step, inputHash, result: await steps.keep(text) });
    // Parsed from what was recorded, so it has the type of what the effect gave.
    return JSON.parse(text) as T;
  }

  #inDoubt<T>({ step, tool, input }: EffectStep<T>, inputHash: string, { key }: EffectCall, cause?: unknown): Error {
    const text = canonicalJson(input);
    const argumentsBytes = Buffer.byteLength(text);
    const shown = argumentsBytes <= maxShownBytes ? { arguments: input } : {};
    this.#doubt ??= { step, tool, key, ...shown, argumentsBytes, argumentsHash: inputHash };
    const error = new EffectInDoubtError(tool, { cause });
    this.#options.steps.end(error);
    return error;
  }
}
