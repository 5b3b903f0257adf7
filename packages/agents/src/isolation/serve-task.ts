import type { Executor, HoldAnswer, Journal, JournalEntry, RecordedStep } from "@flotilla/workflow";
import { type JournalAnswer, type JournalCall, offWire, onWire, type ToTask, type ToWorker } from "./messages.ts";

/**
 * Runs the one task that the worker gives this process, and reports its outcome; the worker then ends the process.
 * Without its worker it ends by itself, for nothing that it does could be written any more.
 */
export function serveTask(execute: Executor): void {
  const stop = new AbortController();
  const journal = new RemoteJournal();
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: ToTask) => {
    switch (message.kind) {
      case "run":
        void execute(message.task, journal.port, stop.signal).then(
          (outcome) => tell({ kind: "ended", outcome }),
          (error: unknown) => tell({ kind: "stopped", error: onWire(error) }),
        );
        return;
      case "answered":
      case "refused":
        return journal.settle(message);
      case "abort":
        return stop.abort(offWire(message.error));
    }
  });
  tell({ kind: "ready" });
}

/** The journal of the task, which the worker keeps. */
class RemoteJournal {
  readonly #waiting = new Map<number, PromiseWithResolvers<JournalAnswer>>();
  #calls = 0;

  readonly port: Journal = {
    // The worker answers each call with what its journal gives for that name.
    load: () => this.#call({ name: "load", args: [] }) as Promise<JournalEntry[]>,
    record: async (...args) => void (await this.#call({ name: "record", args })),
    hold: (...args) => this.#call({ name: "hold", args }) as Promise<HoldAnswer>,
    release: async (...args) => void (await this.#call({ name: "release", args })),
    share: (...args) => this.#call({ name: "share", args }) as Promise<RecordedStep | undefined>,
    intend: async (...args) => void (await this.#call({ name: "intend", args })),
    conclude: async (...args) => void (await this.#call({ name: "conclude", args })),
    withdraw: async (...args) => void (await this.#call({ name: "withdraw", args })),
    progress: async (...args) => void (await this.#call({ name: "progress", args })),
  };

  settle(message: Extract<ToTask, { call: number }>): void {
    const waiting = this.#waiting.get(message.call);
    this.#waiting.delete(message.call);
    if (message.kind === "answered") waiting?.resolve(message.answer);
    else waiting?.reject(offWire(message.error));
  }

  #call(journal: JournalCall): Promise<JournalAnswer> {
    const call = this.#calls++;
    const waiting = Promise.withResolvers<JournalAnswer>();
    this.#waiting.set(call, waiting);
    tell({ kind: "call", call, journal });
    return waiting.promise;
  }
}

function tell(message: ToWorker): void {
  process.send?.(message);
}
