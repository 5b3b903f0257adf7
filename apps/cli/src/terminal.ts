import { exitCode, InterruptedError } from "./exit.ts";

/** Where a command speaks: answers on stdout, everything else on stderr. */
export interface Terminal {
  /** Whether answers are JSON, one object a line. */
  readonly json: boolean;
  /** A line of the answer, for a person. */
  say(line: string): void;
  /** A line of the answer, for a program. */
  emit(value: object): void;
  /** A line beside the answer: warnings, hints, progress. */
  note(line: string): void;
  /** From now on, a reader of stdout that goes away is no reason to end. */
  outliveReader(): void;
  /** Aborted with `InterruptedError` by the first SIGINT or SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Aborted by a second one: the person wants out now. */
  readonly hurried: AbortSignal;
}

/**
 * Ctrl-C reaches the whole process group, and npm and the launcher in bin/ forward it as well: what comes within
 * this time is one press.
 */
const onePressMs = 500;

/** A terminal on this process's streams and signals. */
export function openTerminal(options: { json: boolean }): Terminal {
  const interrupt = new AbortController();
  const hurry = new AbortController();
  let firstAt: number | undefined;
  const onSignal = () => {
    firstAt ??= Date.now();
    interrupt.abort(new InterruptedError());
    if (Date.now() - firstAt > onePressMs) hurry.abort(new InterruptedError());
  };
  // A reader that has read enough, such as `head`, ends the command.
  let endsWithReader = true;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (endsWithReader) process.exit(exitCode.done);
  });
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    json: options.json,
    say: (line) => void process.stdout.write(`${line}\n`),
    emit: (value) => void process.stdout.write(`${JSON.stringify(value)}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
    outliveReader: () => (endsWithReader = false),
    interrupted: interrupt.signal,
    hurried: hurry.signal,
  };
}
