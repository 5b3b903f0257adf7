import { askRedisAt } from "@flotilla/testkit/sentinel-watch";
import { until } from "@flotilla/testkit/until";

/**
 * What every node of a group is started with: replicas log in as a user of their own. So the link between a master and
 * its replica can be cut for good, which a stopped replica does not show: it reads what is in its socket when it goes on.
 */
export const replicationArgs = (
  "--masteruser replica --masterauth link --user replica on >link ~* &* +psync +replconf +ping " +
  "--repl-diskless-sync-delay 0"
).split(" ");

/** Lets no replica in any more, and throws out those that are in, with all that was on its way to them. */
export async function cutReplication(masterPort: number): Promise<void> {
  await askRedisAt(masterPort, async (redis) => {
    await redis.acl("SETUSER", "replica", "off");
    await redis.client("KILL", "TYPE", "replica");
  });
}

/** Lets replicas in again. */
export async function mendReplication(masterPort: number): Promise<void> {
  await askRedisAt(masterPort, (redis) => redis.acl("SETUSER", "replica", "on"));
}

/** Waits until a replica of this master has all that the master has at this moment. */
export async function untilReplicated(masterPort: number): Promise<void> {
  const goal = await replicationOffset(masterPort);
  const isReplicated = async () => {
    const info = await askRedisAt(masterPort, (redis) => redis.info("replication"));
    const offset = /^slave0:.*state=online,offset=(\d+)/m.exec(info)?.[1];
    return info.includes("role:master") && Number(offset) >= goal;
  };
  await until(isReplicated, { timeoutMs: 60_000, what: `a replica of ${masterPort} has what it has` });
}

export type ReplicationRole = "master" | "slave";

/** Waits until the node says that this is its role. */
export async function untilRole(port: number, role: ReplicationRole): Promise<void> {
  const isSo = () => askRedisAt(port, async (redis) => (await redis.info("replication")).includes(`role:${role}`));
  await until(isSo, { timeoutMs: 60_000, what: `${port} is ${role}` });
}

/** How much a master has written, or a replica has got, in bytes of the replication stream. */
export async function replicationOffset(port: number): Promise<number> {
  const info = await askRedisAt(port, (redis) => redis.info("replication"));
  const offset = /^master_repl_offset:(\d+)/m.exec(info)?.[1];
  if (offset === undefined) throw new Error(`${port} tells no offset`);
  return Number(offset);
}
