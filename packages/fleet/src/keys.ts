import { createHash, randomBytes } from "node:crypto";
import { shardOf } from "@flotilla/workflow";

/** Hash tag of what belongs to the fleet as a whole; the names of keys below a tag are in lua/prelude.lua. */
export const fleetTag = "{fleet}";

/** Hash tag of what the intake refused. */
export const intakeTag = "{intake}";

/** Hash tag of a shard. */
export const shardTag = (shard: string) => `{s${shard}}`;

/** Hash tag of the shard on which a workflow lives. */
export const tagOf = (workflowId: string) => shardTag(shardOf(workflowId));

/** Channel on which a shard says that something became due. */
export const wakeChannel = (shard: string) => `${shardTag(shard)}:wake`;

const letters = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new workflow id with 130 random bits. `spot` is a byte that picks the shard; the same one always picks the same. */
export function newWorkflowId(shards: readonly string[], spot?: number): string {
  const random = randomBytes(27);
  const shard = shards[(spot ?? random.readUInt8(26)) % shards.length];
  let name = "";
  for (let index = 0; index < 26; index++) name += letters[random.readUInt8(index) % letters.length];
  return `wf_${shard}_${name}`;
}

/** The id of a schedule that these bytes, 26 at least, stand for. */
export function scheduleIdFrom(bytes: Buffer): string {
  return `sch_${Array.from({ length: 26 }, (_, index) => letters[bytes.readUInt8(index) % letters.length]).join("")}`;
}

/** The name of an idempotency key in Redis, and the spot where all submits with that key meet. */
export function idempotencyPlace(tenant: string, key: string): { spot: number; hash: string } {
  const digest = createHash("sha256").update(`${tenant}\n${key}`).digest();
  return { spot: digest.readUInt8(), hash: digest.toString("base64url") };
}

/** Name of the BullMQ queue of an agent type. */
export const agentQueue = (agentType: string) => `agent.${agentType}`;

/** Name of the BullMQ queue of workflows that wait to be started. */
export const admissionQueue = "workflows";

/** Prefix of the keys of a queue: a hash tag of its own, so that its scripts stay in one slot. */
export const queuePrefix = (queue: string) => `{${queue}}`;
