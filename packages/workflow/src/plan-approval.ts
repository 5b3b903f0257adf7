import type { EventBody, EventOf } from "./event.ts";
import { requestedPhases } from "./event.ts";
import type { Failure } from "./failure.ts";
import { type Issue, schemaIssues } from "./issue.ts";
import { itemSeqOf } from "./item.ts";
import type { Json } from "./json.ts";
import type { AgentCatalog } from "./plan.ts";
import { type PhaseRequest, PlanRequest } from "./request.ts";
import type { WorkflowState } from "./state.ts";
import { phaseIssues } from "./validate.ts";

/** Most of a plan that an item shows, in bytes of JSON: a list of items shows many. */
export const maxShownPlanBytes = 32_768;

/** How the approval of a plan stands that the request itself names, or why no plan of the workflow is to run. */
export type PlanGate =
  | { kind: "asked"; item: string; since: number }
  /** With the phases that a person has put in the place of those of the request. */
  | { kind: "approved"; phases?: readonly PhaseRequest[] }
  | { kind: "denied"; item: string; reason: string };

type Phases = readonly PhaseRequest[];
type Settled = EventOf<"item.settled">["data"];

/** The question whether these phases may run; `by` is who wants them, as in `workflow.planned`. */
export function planItem(by: string, phases: Phases): EventOf<"item.opened">["data"] {
  const tasks = phases.flatMap((phase) => phase.tasks).length;
  const phasesBytes = new TextEncoder().encode(JSON.stringify(phases)).length;
  const shown = phasesBytes <= maxShownPlanBytes ? { phases: [...phases] } : {};
  const whose = by === "request" ? "the plan of the request" : `what task ${by} has planned`;
  const summary = `${whose} is to run: ${count(tasks, "task")} in ${count(phases.length, "phase")}`;
  return { kind: "plan", summary, detail: { by, tasks, ...shown, phasesBytes } };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** The question about the plan of the request, which the workflow waits for with all its tasks. */
export function askAboutRequest({ request }: WorkflowState): EventBody {
  return { type: "item.opened", data: planItem("request", requestedPhases(request) ?? []) };
}

/** Whether the plan of the request waits for this item. */
export function isAsked(gate: PlanGate | undefined, item: string): boolean {
  return gate?.kind === "asked" && itemSeqOf(gate.item) === itemSeqOf(item);
}

/** What the word of a person makes of the plan of the request. */
export function gateAfter({ item, decision, reason = "", edit }: Settled): PlanGate {
  if (decision === "approve") return { kind: "approved" };
  if (decision !== "edit") return { kind: "denied", item, reason };
  // Whoever wrote it had it checked; a line that was not must never let the plan pass that somebody meant to change.
  const plan = PlanRequest.safeParse(edit);
  return plan.success
    ? { kind: "approved", phases: plan.data.phases }
    : { kind: "denied", item, reason: "the edit is no plan" };
}

/** Why a workflow is aborted whose plan a person has denied. */
export function denialOf(reason: string): Failure {
  const because = reason === "" ? "" : `: ${reason}`;
  return { class: "cancelled", code: "plan-denied", message: `a person denied the plan${because}` };
}

/** Everything that is wrong with what a person would put in the place of a plan; `by` is the task that made it, if one did. */
export function planEditIssues(
  { phases }: WorkflowState,
  by: string | undefined,
  edit: Json,
  agents: AgentCatalog,
): Issue[] {
  const plan = PlanRequest.safeParse(edit);
  if (!plan.success) return schemaIssues(plan.error, "/edit");
  // The phases of the request are the very ones that would be replaced.
  const before = by === undefined ? [] : phases.map(({ request }) => request);
  return phaseIssues(plan.data.phases, agents, ["edit", "phases"], before);
}
