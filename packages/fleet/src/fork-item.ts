import type { Fork, WorkflowState } from "@flotilla/workflow";
import { handoffSpecs, specsOf, takeOverSpec } from "./spec.ts";

/** A fork as lua/fork.lua takes it. `key` is hash, body hash and lifetime of the idempotency key. */
export function forkItem(
  { submitted, facts, state, claims, outputs }: Fork,
  key: readonly (string | number)[],
  firstLookMs: number,
): (string | number)[] {
  const { forkedFrom, request } = submitted.data;
  const { priority = "normal", tags = {} } = request;
  const specs = state.isPlanned ? specsOfState(state) : [];
  const fields = [...specs, ...handoffSpecs(state), ...claims.map(claimOf)];
  const lists = [facts.map((fact) => JSON.stringify(fact)), fields, outputs];
  return [
    forkedFrom.id,
    forkedFrom.seq,
    state.id,
    state.tenant,
    state.status,
    priority,
    JSON.stringify(tags),
    ...key,
    firstLookMs,
    JSON.stringify(submitted),
    ...lists.flatMap((list) => [list.length, ...list.flat()]),
  ];
}

/** The specs of all phases; of a task that its fallback has taken over, as that has it. */
function specsOfState({ phases, tasks, request }: WorkflowState): [string, string][] {
  const requests = phases.map((phase) => phase.request);
  const specs = new Map(specsOf(requests, request));
  for (const task of requests.flatMap((phase) => phase.tasks)) {
    const { agent = task.agent } = tasks.get(task.id) ?? {};
    if (agent === task.agent) continue;
    const [field, text] = takeOverSpec(task, agent, request);
    specs.set(field, text);
  }
  return [...specs];
}

/** See lua/prelude.lua for the text of a claim. */
function claimOf({ taskId, attempt, dispatch, epoch, claims, completedAt }: Fork["claims"][number]): [string, string] {
  const status = completedAt > 0 ? "recorded" : "revoked";
  return [`claim:${taskId}`, `${attempt} ${dispatch} ${epoch} ${claims} ${status} - 0 ${completedAt}`];
}
