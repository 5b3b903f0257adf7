import type { Redis } from "ioredis";
import type { Random } from "../random.ts";
import type { Fault } from "./fault.ts";

/** Damages one key of a queue, and says which; undefined where there was nothing to damage. */
type Damage = (redis: Redis, queue: string, random: Random) => Promise<string | undefined>;

/** What BullMQ keeps a queue in, beside its jobs. */
const structure = ["prioritized", "active", "marker", "meta", "events", "stalled", "pc", "id", "stalled-check"];

const damages: Record<string, Damage> = {
  "deletes a waiting job": onJob((redis, key) => redis.del(key)),
  "makes a waiting job another type": onJob(async (redis, key) => {
    await redis.multi().del(key).set(key, "no job").exec();
  }),
  "spoils the data of a waiting job": onJob((redis, key) => redis.hset(key, "data", '{"workflowId":')),
  "spoils the options of a waiting job": onJob((redis, key) => redis.hset(key, "opts", "no JSON")),
  "takes a job out of its list": async (redis, queue, random) => {
    const id = await waitingJob(redis, queue, random);
    if (id !== undefined) await redis.zrem(`${queue}:prioritized`, id);
    return id;
  },
  "deletes the lock of an active job": async (redis, queue, random) => {
    const ids = await redis.lrange(`${queue}:active`, 0, -1);
    if (ids.length === 0) return undefined;
    const key = `${queue}:${random.pick(ids)}:lock`;
    await redis.del(key);
    return key;
  },
  "deletes a key of the queue": async (redis, queue, random) => {
    const key = `${queue}:${random.pick(structure)}`;
    await redis.del(key);
    return key;
  },
  "makes a key of the queue another type": async (redis, queue, random) => {
    const key = `${queue}:${random.pick(structure)}`;
    const isList = random.next() < 0.5;
    await redis.del(key);
    await (isList ? redis.rpush(key, "no", "queue") : redis.hset(key, "no", "queue"));
    return key;
  },
  "puts a job that is none into the queue": async (redis, queue) => {
    await redis.zadd(`${queue}:prioritized`, 1, "nothing");
    return "nothing";
  },
};

/** Damage to the keys of these queues, by chance: deleted, of another type, or with nonsense in them. */
export function queueDamage(redis: Redis, queues: readonly string[]): Fault {
  return {
    name: "damage",
    async inject(random) {
      const [name, damage] = random.pick(Object.entries(damages));
      const queue = random.pick(queues);
      // What is of another type already cannot be damaged as it was meant.
      const key = await damage(redis, queue, random).catch(() => undefined);
      return key === undefined ? undefined : `${name}: ${key}`;
    },
  };
}

function onJob(spoil: (redis: Redis, key: string) => Promise<unknown>): Damage {
  return async (redis, queue, random) => {
    const id = await waitingJob(redis, queue, random);
    if (id === undefined) return undefined;
    const key = `${queue}:${id}`;
    await spoil(redis, key);
    return key;
  };
}

async function waitingJob(redis: Redis, queue: string, random: Random): Promise<string | undefined> {
  const ids = await redis.zrange(`${queue}:prioritized`, 0, -1);
  return ids.length === 0 ? undefined : random.pick(ids);
}
