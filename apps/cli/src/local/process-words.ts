import type { Exit, ProcessName } from "./supervised.ts";

/** What a person calls the process. */
export function nameOf({ role, agentType }: ProcessName): string {
  return agentType === undefined ? role : `${agentType} agent`;
}

/** Whether the process ended because it was asked to. */
export function isGraceful({ code, signal }: Exit): boolean {
  return code === 0 || signal === "SIGTERM";
}
