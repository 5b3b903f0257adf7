import type { AgentCatalog, AgentDescriptor } from "@flotilla/workflow";
import { fleetTag } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

/** How long a worker counts as live after it said so, in ms. */
const liveMs = 15_000;

/** How often a worker says that it lives, in ms; by then a fleet that lost its registry has it again. */
export const registerEveryMs = 5000;

export interface RegisteredAgent {
  descriptor: AgentDescriptor;
  /** Workers that lived a moment ago. */
  workers: number;
  /** Those, and the ones that went without a word since a worker of the type last registered. */
  known: number;
  /** Since when no worker takes a task of it, in Redis time; undefined where they do. */
  pausedSince: number | undefined;
}

/** Says that a worker of an agent type lives. */
export async function registerWorker(scripts: Scripts, descriptor: AgentDescriptor, workerId: string): Promise<void> {
  await scripts.item("register", fleetTag, [descriptor.type, JSON.stringify(descriptor), workerId, liveMs]);
}

/** Says that a worker has gone; its agent type stays known. */
export async function unregisterWorker(scripts: Scripts, descriptor: AgentDescriptor, workerId: string): Promise<void> {
  await scripts.item("register", fleetTag, [descriptor.type, JSON.stringify(descriptor), workerId, 0]);
}

/** Every agent type that has ever registered, sorted by its name. */
export async function registeredAgents(scripts: Scripts): Promise<RegisteredAgent[]> {
  // See the header of lua/agents.lua for the shape.
  const flat = (await scripts.call("agents", fleetTag, [])) as (string | number)[];
  const agents: RegisteredAgent[] = [];
  for (let index = 0; index < flat.length; index += 5) {
    const [, descriptor, workers, known, since] = flat.slice(index, index + 5);
    agents.push({
      descriptor: JSON.parse(String(descriptor)) as AgentDescriptor,
      workers: Number(workers),
      known: Number(known),
      pausedSince: Number(since) === 0 ? undefined : Number(since),
    });
  }
  return agents.toSorted((a, b) => (a.descriptor.type < b.descriptor.type ? -1 : 1));
}

/** The agent types of now, as plans are judged by them. */
export async function agentCatalog(scripts: Scripts): Promise<AgentCatalog> {
  return new Map((await registeredAgents(scripts)).map(({ descriptor }) => [descriptor.type, descriptor]));
}
