import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Logger, nodeFlags } from "@flotilla/runtime";
import type { ClaimedTask, Executor, Journal, TaskOutcome } from "@flotilla/workflow";
import { type JournalAnswer, type JournalCall, offWire, onWire, type ToTask, type ToWorker } from "./messages.ts";

export interface IsolationOptions {
  /** A program that calls `serveTask`. */
  program: URL;
  logger: Logger;
  /** How long a process has to end once its signal is aborted, in ms; then it is killed. */
  endWithinMs?: number;
}

/**
 * An executor that gives every task a process of its own, which may die as it likes: its death is the outcome `died`,
 * and nobody else notices. The worker keeps the claim and makes every call of the journal, so that the fence is the
 * same as for any task and a process that outlives its claim can write nothing.
 */
export function createIsolatedExecutor({ program, logger, endWithinMs = 2000 }: IsolationOptions): Executor {
  return async (task, journal, signal) => {
    signal.throwIfAborted();
    const child = fork(fileURLToPath(program), [], { execArgv: [...nodeFlags], stdio: ["ignore", 2, 2, "ipc"] });
    const { workflowId, taskId, attempt, claim } = task;
    logger.warn({ workflowId, taskId, attempt, claim, pid: child.pid }, "a task runs in a process of its own");
    return new IsolatedRun(child, journal).run(task, signal, endWithinMs);
  };
}

/** One task in its process, seen from the worker. */
class IsolatedRun {
  readonly #child: ChildProcess;
  readonly #journal: Journal;
  readonly #calls = new Set<Promise<void>>();
  readonly #ended = Promise.withResolvers<TaskOutcome>();
  #hasTask = false;
  #isGone = false;

  constructor(child: ChildProcess, journal: Journal) {
    this.#child = child;
    this.#journal = journal;
  }

  async run(task: ClaimedTask, signal: AbortSignal, endWithinMs: number): Promise<TaskOutcome> {
    let killing: NodeJS.Timeout | undefined;
    const onAbort = () => {
      this.#tell({ kind: "abort", error: onWire(signal.reason) });
      killing = setTimeout(() => this.#child.kill("SIGKILL"), endWithinMs);
    };
    // What the child says is typed on both sides, and both are of one release.
    this.#child.on("message", (message: ToWorker) => this.#hear(message, task));
    this.#child.once("error", (error) => this.#gone(error.message));
    this.#child.once("exit", (code, cause) => this.#gone(cause ?? `exit code ${code}`));
    signal.addEventListener("abort", onAbort);
    try {
      const outcome = await this.#ended.promise;
      // One that ends without a word after it was told to end does as it was told.
      if (this.#isGone) signal.throwIfAborted();
      return outcome;
    } finally {
      clearTimeout(killing);
      signal.removeEventListener("abort", onAbort);
      this.#child.kill("SIGKILL");
      await Promise.allSettled(this.#calls);
    }
  }

  #gone(reason: string): void {
    this.#isGone = true;
    this.#ended.resolve(this.#hasTask ? { kind: "died", reason } : unavailable(reason));
  }

  #hear(message: ToWorker, task: ClaimedTask): void {
    switch (message.kind) {
      case "ready":
        this.#hasTask = true;
        return this.#tell({ kind: "run", task });
      case "call": {
        const answer = this.#answer(message.call, message.journal).finally(() => this.#calls.delete(answer));
        this.#calls.add(answer);
        return;
      }
      case "ended":
        return this.#ended.resolve(message.outcome);
      case "stopped":
        return this.#ended.reject(offWire(message.error));
    }
  }

  async #answer(call: number, asked: JournalCall): Promise<void> {
    try {
      this.#tell({ kind: "answered", call, answer: await ask(this.#journal, asked) });
    } catch (error) {
      this.#tell({ kind: "refused", call, error: onWire(error) });
    }
  }

  /** To one that is gone already there is nothing to tell. */
  #tell(message: ToTask): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}

function ask(journal: Journal, asked: JournalCall): Promise<JournalAnswer> {
  switch (asked.name) {
    case "load":
      return journal.load();
    case "record":
      return journal.record(...asked.args);
    case "hold":
      return journal.hold(...asked.args);
    case "release":
      return journal.release(...asked.args);
    case "share":
      return journal.share(...asked.args);
    case "intend":
      return journal.intend(...asked.args);
    case "conclude":
      return journal.conclude(...asked.args);
    case "withdraw":
      return journal.withdraw(...asked.args);
    case "progress":
      return journal.progress(...asked.args);
  }
}

/** The process never got as far as the task, so that was not to blame. */
function unavailable(reason: string): TaskOutcome {
  const message = `no process could be started for the task: ${reason}`;
  return { kind: "failed", error: { class: "transient", code: "isolation-unavailable", message } };
}
