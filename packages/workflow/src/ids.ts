import { z } from "zod";

export const workflowIdPattern = /^wf_[0-9a-z]{2}_[0-9a-z]{26}$/;

/** Task and phase names, and the names inside templates. */
export const taskIdPattern = /^[A-Za-z0-9_-]{1,64}$/;

export const agentTypePattern = /^[a-z][a-z0-9-]{0,31}$/;

export const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

export const WorkflowId = z.string().regex(workflowIdPattern);
export const TaskId = z.string().regex(taskIdPattern, "use 1 to 64 of A-Z a-z 0-9 _ -");
export const AgentType = z.string().regex(agentTypePattern, "use a-z, then a-z 0-9 -, at most 32");
export const Tenant = z.string().regex(tenantPattern, "use a-z 0-9 -, at most 63");

/** The shard that a workflow id names: two characters, the hash tag of all its keys. */
export function shardOf(workflowId: string): string {
  return workflowId.slice(3, 5);
}
