/**
 * What goes wrong with a request. `refuse` answers an error before anything is done, `delay` waits first, `reset` ends
 * the connection before anything is done and `lose-reply` after all is done. `cut` ends the connection within the body
 * of the answer. `throttle-entries` refuses some entries of a `PutMessages`, counted from 0, and stores the others.
 */
export type Fault =
  | { kind: "refuse"; status: number; code: string; retryAfterSeconds?: number }
  | { kind: "delay"; ms: number }
  | { kind: "reset" }
  | { kind: "lose-reply" }
  | { kind: "cut"; afterBytes: number }
  | { kind: "throttle-entries"; entries: readonly number[] };

/** A fault and the requests that it befalls. */
interface Plan {
  /** Name of the operation; every operation where none is named. */
  operation: string | undefined;
  fault: Fault;
  left: number;
}

/** Faults that the next requests meet, and what was seen. */
export class Faults {
  #plans: Plan[] = [];
  #met = 0;

  /** Befalls the next `times` requests to the operation, or to any; for ever with `Infinity`. */
  inject(fault: Fault, { operation, times = 1 }: { operation?: string; times?: number } = {}): void {
    this.#plans.push({ operation, fault, left: times });
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#plans = [];
  }

  /** How often a fault has befallen a request. */
  get met(): number {
    return this.#met;
  }

  /** The fault that befalls this request, if any: one at most, the earliest that was injected. */
  next(operation: string): Fault | undefined {
    const plan = this.#plans.find((plan) => plan.operation === undefined || plan.operation === operation);
    if (!plan) return undefined;
    plan.left -= 1;
    this.#met += 1;
    if (plan.left <= 0) this.#plans = this.#plans.filter((other) => other !== plan);
    return plan.fault;
  }
}
