/** What an effect is handed when it is to happen. */
export interface EffectCall {
  /** The same in every try of this effect, over attempts and workers: give it to the other side. */
  readonly key: string;
  readonly signal: AbortSignal;
}

/** What the other side says to the question whether an effect has happened. */
export type QueryAnswer<T> = { happened: false } | { happened: true; result: T };

/**
 * What may be done where an effect was about to happen and its result is not known: `idempotent` runs it again with the
 * same key, `queryable` asks, and `unsafe` never runs it again: the task waits for a person. `key` is
 * `<workflow>/<task>/<step>` unless given.
 */
export type Effect<T> =
  | { class: "idempotent"; key?: string }
  | { class: "queryable"; key?: string; query(call: EffectCall): Promise<QueryAnswer<T>> }
  | { class: "unsafe"; key?: string };

/**
 * Says of an effect that it certainly did not happen: thrown within one, its intent is taken back, and another try may
 * run it. What kind of failure it is, its `cause` tells.
 */
export class NotAppliedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NotAppliedError";
  }
}
