import { AsyncLocalStorage } from "node:async_hooks";

/** What stands in log lines beside what they say themselves. */
export type LogFields = Readonly<Record<string, string | number>>;

const current = new AsyncLocalStorage<LogFields>();

/** Does the work with these fields in every log line that is written from within, whoever writes it. */
export function withLogFields<T>(fields: LogFields, work: () => T): T {
  return current.run({ ...current.getStore(), ...fields }, work);
}

/** The fields of whoever asks. */
export function logFields(): LogFields {
  return current.getStore() ?? {};
}
