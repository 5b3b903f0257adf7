import type { Failure } from "./failure.ts";
import type { ItemKind } from "./item.ts";
import type { ItemVerdict } from "./state.ts";

/** Why a task has failed that waited for a person. */
export function verdictFailure(about: ItemKind, deaths: number, verdict: ItemVerdict): Failure {
  if (verdict.kind === "expired") {
    return { class: "deadline", code: "item-expired", message: "nobody answered what was asked in time" };
  }
  const because = verdict.reason === "" ? "" : `: ${verdict.reason}`;
  switch (about) {
    case "approval":
      return { class: "cancelled", code: "denied", message: `a person denied what the task was about to do${because}` };
    // What is said about these carries itself out, for the failure is known; a denied plan ends the workflow.
    case "compensation-failed":
    case "escalation":
    case "plan":
      return { class: "unknown", code: "unexpected", message: `a person gave the task up${because}` };
    case "outcome-unknown":
      return { class: "unknown", code: "outcome-unknown", message: `an effect was left in doubt${because}` };
    case "quarantine":
      return { class: "poison", code: "worker-died", message: `${deaths} processes died under this task${because}` };
  }
}
