import type { Fork, WorkflowState } from "@flotilla/workflow";
import { changedSpec, handoffSpecs, specsOf } from "./spec.ts";
import { sharedFields } from "./shared-fields.ts";

/** A fork as lua/fork.lua takes it. `key` is hash, body hash and lifetime of the idempotency key. */
export function forkItem(
  { submitted, facts, state, claims, outputs }: Fork,
  key: readonly (string | number)[],
  firstLookMs: number,
): (string | number)[] {
  const { forkedFrom, request } = submitted.data;
  const { priority = "normal", tags = {}, callbackUrl } = request;
  const specs = state.isPlanned ? specsOfState(state) : [];
  // What both share was told by the source.
  const callback: [string, string | number][] =
    callbackUrl === undefined
      ? []
      : [
          ["callback", callbackUrl],
          ["told", forkedFrom.seq],
        ];
  const fields = [...specs, ...handoffSpecs(state), ...claims.map(claimOf), ...sharedFields(state), ...callback];
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

/** The specs of all phases; of a task that its fallback has taken over, or that is told to plan anew, as it is now. */
function specsOfState(state: WorkflowState): [string, string][] {
  const requests = state.phases.map((phase) => phase.request);
  const specs = new Map(specsOf(requests, state.request));
  for (const { id, agent } of requests.flatMap((phase) => phase.tasks)) {
    const task = state.tasks.get(id);
    if (!task || (task.agent === agent && !task.revision)) continue;
    for (const [field, text] of changedSpec(state, task)) specs.set(field, text);
  }
  return [...specs];
}

/** See lua/prelude.lua for the text of a claim. */
function claimOf({ taskId, attempt, dispatch, epoch, claims, completedAt }: Fork["claims"][number]): [string, string] {
  const status = completedAt > 0 ? "recorded" : "revoked";
  return [`claim:${taskId}`, `${attempt} ${dispatch} ${epoch} ${claims} ${status} - 0 ${completedAt}`];
}
