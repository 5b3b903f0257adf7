const pollMs = 20;

/** Below the time that a test has, so that it fails by what it waited for; a machine that is busy takes its time. */
const patienceMs = 25_000;

/** How long to wait, and for what. */
export interface UntilOptions {
  timeoutMs?: number;
  /** What is awaited, for the error; the text of the condition if not given. */
  what?: string;
}

/**
 * Waits until the condition gives a value that is true, and gives it back; asks every 20 ms, for 25 s at most.
 * A condition that throws is one that does not hold yet; the last reason is the cause of the error.
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<NonNullable<T>> {
  const { timeoutMs = patienceMs, what = condition.toString() } = options;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  } while (performance.now() < deadline);
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause });
}
