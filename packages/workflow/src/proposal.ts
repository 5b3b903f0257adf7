import { z } from "zod";
import type { EventBody, PlanDefaults } from "./event.ts";
import { type Issue, schemaIssues } from "./issue.ts";
import { type AgentCatalog, planIssues } from "./plan.ts";
import { planItem } from "./plan-approval.ts";
import { PhaseRequest } from "./request.ts";
import { maxRevisions, problemsInWords, revisionAfter } from "./revision.ts";
import type { TaskState, WorkflowState } from "./state.ts";

const Phases = z.array(PhaseRequest);

/**
 * What becomes of the phases that a task appends: they are planned, or go back to the task with all that is wrong with
 * them. The third time they fail it, and the recovery table says what follows. Nothing for a task that appends none, and
 * for one of whose phases a person is to be asked.
 */
export function judgeProposal(
  state: WorkflowState,
  task: TaskState,
  { now, agents, defaults }: { now: number; agents: AgentCatalog; defaults: PlanDefaults },
): EventBody | undefined {
  const { id: taskId, agent, attempt, stage, origin } = task;
  if (stage.kind !== "proposing") return undefined;
  if (!agents.get(agent)?.mayPlan || origin?.grant.mayPlan === false) {
    // To say so again would change nothing.
    return refused(taskId, attempt, `agents of type ${agent} may not append phases`);
  }
  if (state.compensation) return refused(taskId, attempt, "nothing is planned while what was done is undone");
  const judged = phasesOf(stage.append, state, agents);
  if (judged.phases) {
    const isAsked = state.request.approvePlan && !stage.isApproved && judged.phases.length > 0;
    return isAsked ? undefined : { type: "workflow.planned", data: { by: taskId, phases: judged.phases, defaults } };
  }
  const { problems } = judged;
  const revision = revisionAfter(task.revision, problems);
  const error = invalidPlan(problemsInWords(problems));
  return revision.number > maxRevisions
    ? { type: "task.failed", taskId, attempt, data: { error, revision } }
    : { type: "task.retrying", taskId, attempt: attempt + 1, data: { error, notBefore: now, revision } };
}

/** The question about the phases of a task, all of which have been judged, where a person is to be asked. */
export function askAboutProposal({ id: taskId, attempt, stage }: TaskState): EventBody | undefined {
  if (stage.kind !== "proposing") return undefined;
  return { type: "item.opened", taskId, attempt, data: planItem(taskId, Phases.parse(stage.append)) };
}

/** The phases that a value stands for, or everything that is wrong with it. */
function phasesOf(
  append: unknown[],
  { phases }: WorkflowState,
  agents: AgentCatalog,
): { phases: PhaseRequest[] } | { phases?: never; problems: Issue[] } {
  const parsed = Phases.safeParse(append);
  if (!parsed.success) return { problems: schemaIssues(parsed.error, "/append") };
  const before = phases.map(({ request }) => request);
  const problems = planIssues(parsed.data, agents, ["append"], before);
  return problems.length > 0 ? { problems } : { phases: parsed.data };
}

function refused(taskId: string, attempt: number, message: string): EventBody {
  return { type: "task.failed", taskId, attempt, data: { error: invalidPlan(message) } };
}

function invalidPlan(message: string) {
  return { class: "data" as const, code: "invalid-plan", message };
}
