import { neededSurroundings, type Surroundings, type WorkflowState } from "@flotilla/workflow";
import { leaseMs } from "./claims.ts";
import { fleetTag, tagOf } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

/** A worker that is not heard of for this long has missed two renewals of its claim, and is worth a word, in ms. */
const silentMs = 3500;

/** Finds out why the tasks of a workflow wait, where its log does not tell. */
export async function surroundings(scripts: Scripts, state: WorkflowState): Promise<Surroundings> {
  const { agents, running } = neededSurroundings(state);
  const [paused, silent] = await Promise.all([
    Promise.all(agents.map((agent) => pausedSince(scripts, agent))),
    Promise.all(running.map((taskId) => silence(scripts, state.id, taskId))),
  ]);
  return { paused: new Map(paused.flat()), silent: new Map(silent.flat()) };
}

async function pausedSince(scripts: Scripts, agent: string): Promise<[string, number][]> {
  const since = Number(await scripts.item("standing", fleetTag, [agent]));
  return since > 0 ? [[agent, since]] : [];
}

async function silence(
  scripts: Scripts,
  id: string,
  taskId: string,
): Promise<[string, { since: number; until: number }][]> {
  // See the header of lua/leases.lua for the shape.
  const heard = (await scripts.item("leases", tagOf(id), [id, taskId], [leaseMs])) as [number, number, number] | null;
  if (!heard) return [];
  const [agoMs, since, until] = heard;
  return agoMs >= silentMs ? [[taskId, { since, until }]] : [];
}
