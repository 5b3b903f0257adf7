import { createLogger } from "@flotilla/runtime";
import { until } from "@flotilla/testkit";
import { type ClaimedTask, ClaimLostError, type Journal, ShutdownError } from "@flotilla/workflow";
import { expect, test } from "vitest";
import { createIsolatedExecutor } from "../src/isolation/run-isolated.ts";

const logger = createLogger({ role: "agent", level: "silent" });
const program = new URL("./fixtures/isolated.ts", import.meta.url);

/** A journal that writes down what is asked of it. */
class CallLog implements Journal {
  readonly calls: unknown[][] = [];
  /** Thrown at the next call. */
  refusal: Error | undefined;

  load = () => this.#call("load", [{ key: "old", inputHash: "h", result: 1 }]);
  record = (...args: unknown[]) => this.#call("record", undefined, args);
  hold = (...args: unknown[]) => this.#call("hold", "busy" as const, args);
  release = (...args: unknown[]) => this.#call("release", undefined, args);
  share = (...args: unknown[]) => this.#call("share", { key: "seen", inputHash: "h", result: 1 }, args);
  intend = (...args: unknown[]) => this.#call("intend", undefined, args);
  conclude = (...args: unknown[]) => this.#call("conclude", undefined, args);
  withdraw = (...args: unknown[]) => this.#call("withdraw", undefined, args);
  progress = (...args: unknown[]) => this.#call("progress", undefined, args);

  async #call<T>(name: string, answer: T, args: unknown[] = []): Promise<T> {
    this.calls.push([name, ...args]);
    if (this.refusal) throw this.refusal;
    return answer;
  }
}

function taskOf(input: string): ClaimedTask {
  const place = { tenant: "t", workflowId: "wf_00_0", taskId: "main", agent: "a" };
  return { ...place, input, attempt: 1, claim: 3, epoch: 3 };
}

const run = (
  input: string,
  { journal = new CallLog(), signal = new AbortController().signal, at = program, endWithinMs = 2000 } = {},
) => createIsolatedExecutor({ program: at, logger, endWithinMs })(taskOf(input), journal, signal);

test("a task runs in another process, and its outcome is that of its executor, however large", async () => {
  const outcome = await run("output");
  expect(outcome).toMatchObject({ kind: "completed", output: { pid: expect.any(Number) } });
  expect(outcome).not.toMatchObject({ output: { pid: process.pid } });
  expect(await run("large")).toEqual({ kind: "completed", output: "x".repeat(8_000_000) });
});

test("its journal is the one of its worker, which makes every call", async () => {
  const journal = new CallLog();
  expect(await run("journal", { journal })).toEqual({ kind: "completed", output: ["old", "busy", "seen"] });
  expect(journal.calls).toEqual([
    ["load"],
    ["hold", "call", { microUsd: 1, input: 2, output: 3 }],
    ["release", "call"],
    ["share", { key: "seen", inputHash: "h", name: "n" }],
    ["intend", { key: "pay", inputHash: "h", intent: { class: "unsafe", key: "k" } }],
    ["conclude", { key: "pay", inputHash: "h", result: { value: 1 } }],
    ["record", { key: "count", inputHash: "h", result: { value: 2 } }, { spend: { microUsd: 1, input: 2, output: 3 } }],
    ["withdraw", "gone"],
    ["progress", "half way"],
  ]);
});

test("a call that is refused is refused over there, and the run ends with the reason", async () => {
  const journal = new CallLog();
  journal.refusal = new ClaimLostError("cancelled");
  await expect(run("journal", { journal })).rejects.toMatchObject({ name: "ClaimLostError", reason: "cancelled" });
  expect(journal.calls).toHaveLength(1);
});

test.each([
  ["killed", "SIGKILL"],
  ["aborted", "SIGABRT"],
  ["exited", "exit code 3"],
  ["thrown", "exit code 1"],
])("one that is %s has died of %s", async (input, reason) => {
  expect(await run(input)).toEqual({ kind: "died", reason });
});

test.each([
  ["obedient", new ShutdownError()],
  ["obedient", new ClaimLostError("superseded")],
  ["deaf", new ShutdownError()],
  ["blocked", new ClaimLostError("cancelled")],
])("one that is %s and told to end ends, and that is no death: %s", async (input, reason) => {
  const journal = new CallLog();
  const stop = new AbortController();
  const running = run(input, { journal, signal: stop.signal, endWithinMs: 300 });
  const ended = expect(running).rejects.toMatchObject({ name: reason.name });
  await until(() => journal.calls.length > 0);
  stop.abort(reason);
  await ended;
});

test("a process that does not come to the task is not the task's fault: it is tried again", async () => {
  const nowhere = new URL("./fixtures/missing.ts", import.meta.url);
  expect(await run("output", { at: nowhere })).toMatchObject({
    kind: "failed",
    error: { class: "transient", code: "isolation-unavailable" },
  });
});

test("nothing is started for a claim that is lost already", async () => {
  const signal = AbortSignal.abort(new ClaimLostError("cancelled"));
  await expect(run("output", { signal })).rejects.toMatchObject({ reason: "cancelled" });
});
