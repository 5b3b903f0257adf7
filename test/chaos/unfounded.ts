import type { EventView } from "@flotilla/workflow";
import type { Evidence } from "./checker.ts";

/** Events of types for which a run has given no reason, in words: a death that nobody died, a limit that was not reached. */
export function unfounded({ told }: Evidence, types: readonly EventView["type"][]): string[] {
  return [...told].flatMap(([id, { events }]) =>
    events
      .filter(({ type }) => types.some((unwanted) => unwanted === type))
      .map(({ type, taskId }) => `unfounded: ${id}: ${type} ${taskId ?? ""}`),
  );
}
