import { CircuitOpenError, type Circuits, type ModelLimits, type Postponement } from "@flotilla/workflow";
import { classify } from "./classify.ts";
import { NotAppliedError } from "./effect.ts";

/** Failures of this process and of the fleet's own stores: they say nothing about who was called. */
const ownCodes: ReadonlySet<string> = new Set([
  "blob-missing",
  "isolation-unavailable",
  "job-lost",
  "no-room",
  "out-of-memory",
  "store-unavailable",
]);

/** Ends a run before a call that is not to be made now. It extends the error of an effect that did not happen: none did. */
export class PostponedError extends NotAppliedError {
  readonly by: Postponement;

  constructor(by: Postponement) {
    super(`the call is not made now: ${by.reason} of ${by.of}`);
    this.name = "PostponedError";
    this.by = by;
  }
}

/** Makes the calls of one run through the circuits and within the limits of the fleet. A call that they keep away ends it. */
export class Guard {
  readonly #circuits: Circuits;
  readonly #limits: ModelLimits;
  readonly #agentType: string;
  readonly #end: (postponement: Postponement, error: Error) => void;

  constructor(deps: {
    circuits: Circuits;
    limits: ModelLimits;
    agentType: string;
    end: (by: Postponement, error: Error) => void;
  }) {
    this.#circuits = deps.circuits;
    this.#limits = deps.limits;
    this.#agentType = deps.agentType;
    this.#end = deps.end;
  }

  /** A call of a model of that provider; without one it runs in this process, and nobody is to be spared. */
  model<T>(provider: string | undefined, call: () => Promise<T>): Promise<T> {
    if (provider === undefined) return call();
    const of = `model:${provider}`;
    return this.#call(of, async () => {
      // Behind the circuit: a call that is not made for its sake takes nothing of the minute.
      const waitMs = await this.#limits.take(provider);
      if (waitMs > 0) throw new PostponedError({ reason: "provider-limit", of, forMs: spread(waitMs) });
      return call();
    });
  }

  /** A call of a tool that this agent declares: of these there are few, where steps and effects may have any name. */
  tool<T>(name: string, call: () => Promise<T>): Promise<T> {
    return this.#call(`tool:${this.#agentType}/${name}`, call);
  }

  async #call<T>(circuit: string, call: () => Promise<T>): Promise<T> {
    try {
      return await this.#circuits.run(circuit, call, isFault);
    } catch (thrown) {
      const error = thrown instanceof CircuitOpenError ? new PostponedError(postponementOf(thrown)) : thrown;
      if (error instanceof PostponedError) this.#end(error.by, error);
      throw error;
    }
  }
}

/** How long a task waits that an open circuit keeps from going on. */
export function postponementOf({ circuit, retryInMs }: CircuitOpenError): Postponement {
  return { reason: "circuit-open", of: circuit, forMs: spread(retryInMs) };
}

/** Up to a fifth more, by chance: those who wait for one thing are not to come all at once. */
function spread(ms: number): number {
  return Math.ceil(ms * (1 + Math.random() / 5));
}

/** Whether a failure speaks against whoever was called, and not against one input, one key or this process. */
export function isFault(error: unknown): boolean {
  const { class: kind, code } = classify(error);
  return (kind === "transient" || kind === "rate-limit") && !ownCodes.has(code);
}
