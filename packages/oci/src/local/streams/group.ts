import { randomUUID } from "node:crypto";
import { invalid } from "../wire.ts";

/** Where a consumer is in a partition that it has: `next` is the first offset that it has not been given. */
export interface Position {
  /** Names the reservation; another one since then means that others may have read on. */
  term: string;
  next: number;
}

/** Where a consumer is, by partition. */
export type Positions = Readonly<Record<string, Position>>;

interface Member {
  timeoutMs: number;
  commitOnGet: boolean;
  seenAt: number;
}

interface Reservation {
  instance: string;
  term: string;
}

/** A consumer group of one stream: who has which partition, and how far each has been committed. */
export class Group {
  readonly name: string;
  readonly #committed: Map<number, number>;
  readonly #members = new Map<string, Member>();
  readonly #reserved = new Map<number, Reservation>();

  /** `committed` is the first offset of each partition that is not committed. */
  constructor(name: string, committed: ReadonlyMap<number, number>) {
    this.name = name;
    this.#committed = new Map(committed);
  }

  get committed(): ReadonlyMap<number, number> {
    return this.#committed;
  }

  /** Takes an instance in, or in again, and shares the partitions anew. */
  join(instance: string, member: Omit<Member, "seenAt">, now: number): void {
    this.#members.set(instance, { ...member, seenAt: now });
    this.#share(now);
  }

  /** Says that the instance lives. Refuses one that has been silent for longer than its timeout. */
  touch(instance: string, now: number): Member {
    this.#share(now);
    const member = this.#members.get(instance);
    if (!member) throw invalid("the cursor is not valid: its instance has left the group");
    member.seenAt = now;
    return member;
  }

  /** Where the instance goes on in each of its partitions. */
  positions(instance: string, known: Positions): Map<number, Position> {
    const own = [...this.#reserved].filter(([, reservation]) => reservation.instance === instance);
    return new Map(
      own.map(([partition, { term }]) => {
        const position = known[partition];
        return [partition, position?.term === term ? position : { term, next: this.#committed.get(partition) ?? 0 }];
      }),
    );
  }

  /** Commits what the instance was given; a partition that it has lost since then is left alone. */
  commit(instance: string, positions: Positions): void {
    for (const [partition, { term, next }] of Object.entries(positions)) {
      const reservation = this.#reserved.get(Number(partition));
      if (reservation?.instance !== instance || reservation.term !== term) continue;
      this.#committed.set(Number(partition), Math.max(next, this.#committed.get(Number(partition)) ?? 0));
    }
  }

  /** Sets every partition anew and lets nobody go on from where it was. */
  reset(committed: ReadonlyMap<number, number>): void {
    for (const [partition, offset] of committed) this.#committed.set(partition, offset);
    this.#reserved.clear();
  }

  /** The group in the words of OCI. */
  describe(streamId: string): object {
    const reservations = [...this.#committed].map(([partition, offset]) => {
      const reservation = this.#reserved.get(partition);
      const member = reservation && this.#members.get(reservation.instance);
      return {
        partition: String(partition),
        // What is committed is the last offset that is done.
        ...(offset > 0 && { committedOffset: offset - 1 }),
        ...(reservation && { reservedInstance: reservation.instance }),
        ...(member && { timeReservedUntil: new Date(member.seenAt + member.timeoutMs).toISOString() }),
      };
    });
    return { streamId, groupName: this.name, reservations };
  }

  /** Drops who was silent for too long, and gives every member its share, moving as few partitions as it takes. */
  #share(now: number): void {
    for (const [instance, { seenAt, timeoutMs }] of this.#members) {
      if (seenAt + timeoutMs < now) this.#members.delete(instance);
    }
    const own = new Map([...this.#members.keys()].map((instance) => [instance, 0]));
    const most = Math.ceil(this.#committed.size / Math.max(1, own.size));
    for (const [partition, { instance }] of this.#reserved) {
      const count = own.get(instance);
      if (count === undefined || count >= most) this.#reserved.delete(partition);
      else own.set(instance, count + 1);
    }
    for (const partition of this.#committed.keys()) {
      if (this.#reserved.has(partition)) continue;
      const [poorest] = [...own].toSorted(([, a], [, b]) => a - b);
      if (!poorest) return;
      this.#reserved.set(partition, { instance: poorest[0], term: randomUUID() });
      own.set(poorest[0], poorest[1] + 1);
    }
  }
}
