import { CircuitOpenError, type Circuits, type Postponement } from "@flotilla/workflow";
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

/** A share of the wait is added to it by chance, so that those who wait for one thing do not come all at once. */
const spread = 0.2;

/** Ends a run before a call that is not to be made now. It extends the error of an effect that did not happen: none did. */
class PostponedError extends NotAppliedError {
  constructor(cause: CircuitOpenError) {
    super("the call is not made: others like it have failed a moment ago", { cause });
    this.name = "PostponedError";
  }
}

/** Makes the calls of one run through the circuits of the fleet. A call that one keeps away ends the run. */
export class Guard {
  readonly #circuits: Circuits;
  readonly #agentType: string;
  readonly #end: (postponement: Postponement, error: Error) => void;

  constructor(deps: { circuits: Circuits; agentType: string; end: (by: Postponement, error: Error) => void }) {
    this.#circuits = deps.circuits;
    this.#agentType = deps.agentType;
    this.#end = deps.end;
  }

  /** A call of a model of that provider; without one it runs in this process, and nobody is to be spared. */
  model<T>(provider: string | undefined, call: () => Promise<T>): Promise<T> {
    return provider === undefined ? call() : this.#call(`model:${provider}`, call);
  }

  /** A call of a tool of this agent. */
  tool<T>(name: string, call: () => Promise<T>): Promise<T> {
    return this.#call(`tool:${this.#agentType}/${name}`, call);
  }

  async #call<T>(circuit: string, call: () => Promise<T>): Promise<T> {
    try {
      return await this.#circuits.run(circuit, call, isFault);
    } catch (error) {
      if (!(error instanceof CircuitOpenError)) throw error;
      const postponed = new PostponedError(error);
      this.#end(postponementOf(error), postponed);
      throw postponed;
    }
  }
}

/** How long a task waits that an open circuit keeps from going on. */
export function postponementOf({ circuit, retryInMs }: CircuitOpenError): Postponement {
  return { reason: "circuit-open", of: circuit, forMs: Math.ceil(retryInMs * (1 + spread * Math.random())) };
}

/** Whether a failure speaks against whoever was called, and not against one input, one key or this process. */
export function isFault(error: unknown): boolean {
  const { class: kind, code } = classify(error);
  return (kind === "transient" || kind === "rate-limit") && !ownCodes.has(code);
}
