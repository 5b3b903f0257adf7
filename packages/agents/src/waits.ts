import {
  type ApprovalRequest,
  canonicalJson,
  Grant,
  HandoffRecord,
  maxPayloadBytes,
  type Json,
  type Postponement,
  SignalRecord,
  TaskError,
  type TaskOutcome,
} from "@flotilla/workflow";
import type { Steps } from "./steps.ts";

/** Most bytes of JSON that a person is asked to approve: they are shown whole. */
const maxApprovalBytes = 32_768;

/** Longest words that a person is shown; the rest is cut off. */
const maxSummaryLength = 1000;

/** Ends a run: the task waits for something, and no worker is needed until it is there. */
class ParkedError extends Error {
  constructor() {
    super("the task waits, and runs again once what it waits for is there");
    this.name = "ParkedError";
  }
}

/** What a person is asked about one thing that an agent is about to do. */
export interface ApprovalQuestion {
  /** In words, for the person. */
  summary: string;
  /** How long they have; without it the task waits for as long as it takes. */
  expiresInMs?: number;
}

/**
 * What a run may wait for without a worker. What has come stands in the journal under the step that asked for it; where
 * it does not stand yet the run ends, and another one begins when it does.
 */
export class Waits {
  readonly #steps: Steps;
  /** By name how many signals were asked for. */
  readonly #signals = new Map<string, number>();
  #outcome: TaskOutcome | undefined;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** What the run waits for; with it the run has ended, whatever the agent made of it. */
  get outcome(): TaskOutcome | undefined {
    return this.#outcome;
  }

  /** The arguments that a person lets pass: those given, or what they put in their place. */
  async approve(
    { step, action }: { step: string; action: string },
    given: Json,
    { summary, expiresInMs }: ApprovalQuestion,
  ): Promise<Json> {
    if (Buffer.byteLength(canonicalJson(given)) > maxApprovalBytes) {
      throw new TaskError({
        class: "data",
        code: "approval-too-large",
        message: `a person is asked about at most ${maxApprovalBytes} bytes of arguments`,
      });
    }
    const { inputHash, known } = await this.#steps.find(step, given);
    if (known && "result" in known) {
      const { edit } = Grant.parse(await this.#steps.read(known));
      return edit === undefined ? given : edit;
    }
    const approval: ApprovalRequest = {
      summary: summary.slice(0, maxSummaryLength),
      detail: { step, action, arguments: given, argumentsHash: inputHash },
      ...(expiresInMs === undefined ? {} : { expiresInMs }),
    };
    throw this.#park({ kind: "asks", approval });
  }

  /** What the next signal of that name says, counted within the task; null where it says nothing. */
  async signal(step: string, signal: string): Promise<Json> {
    const nth = (this.#signals.get(signal) ?? 0) + 1;
    this.#signals.set(signal, nth);
    const { inputHash, known } = await this.#steps.find(step, { signal, nth });
    if (known && "result" in known) return SignalRecord.parse(await this.#steps.read(known)).data ?? null;
    throw this.#park({ kind: "awaits", awaits: { signal, nth, step, inputHash } });
  }

  /** What another agent made of the payload. Throws `TaskError` with its failure where it could not, or was not let. */
  async handOver(step: string, to: string, payload: Json): Promise<Json> {
    const { inputHash, known } = await this.#steps.find(step, { to, payload });
    if (known && "result" in known) {
      const record = HandoffRecord.parse(await this.#steps.read(known));
      if ("output" in record) return record.output;
      throw new TaskError(record.failure);
    }
    const bytes = Buffer.byteLength(JSON.stringify(payload));
    if (bytes > maxPayloadBytes) {
      const message = `the payload has ${bytes} bytes, more than ${maxPayloadBytes}`;
      throw new TaskError({ class: "data", code: "handoff-too-large", message });
    }
    throw this.#park({ kind: "hands-over", handoff: { to, payload, step, inputHash } });
  }

  /** Ends the run before a call that is not to be made now. */
  postpone(by: Postponement, error: Error): void {
    this.#outcome ??= { kind: "postponed", by };
    this.#steps.end(error);
  }

  /** The first thing that a run waits for is the one: nothing that comes after it has been reached. */
  #park(outcome: TaskOutcome): Error {
    this.#outcome ??= outcome;
    const error = new ParkedError();
    this.#steps.end(error);
    return error;
  }
}
