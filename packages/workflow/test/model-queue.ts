import type { Dispatch } from "@flotilla/workflow";

/** How a job is treated on its way: as a queue should, or as one may after an outage. */
export type Treatment = "deliver" | "lose" | "double" | "delay";

interface Delivery {
  id: string;
  job: Dispatch;
  notBefore: number;
}

function idOf({ taskId, attempt, dispatch }: Dispatch): string {
  return `${taskId}.${attempt}.${dispatch}`;
}

/** All queues of the agents in one, which may lose, double and delay its jobs, and gives them in any order. */
export class ModelQueue {
  readonly #jobs = new Set<string>();
  #deliveries: Delivery[] = [];

  /** Adding a job that is still there is a no-op, as in BullMQ. */
  add(job: Dispatch, treatment: Treatment, now: number): void {
    const id = idOf(job);
    if (this.#jobs.has(id) || treatment === "lose") return;
    this.#jobs.add(id);
    const notBefore = treatment === "delay" ? now + 7000 : now;
    this.#deliveries.push({ id, job, notBefore });
    if (treatment === "double") this.#deliveries.push({ id, job, notBefore: notBefore + 500 });
  }

  /** One of the jobs that may be had now: the `pick`th of them. */
  fetch(pick: number, now: number): Delivery | undefined {
    const ready = this.#deliveries.filter(({ notBefore }) => notBefore <= now);
    const delivery = ready[pick % Math.max(1, ready.length)];
    this.#deliveries = this.#deliveries.filter((other) => other !== delivery);
    return delivery;
  }

  /** The worker is done with it, whatever came of it. */
  finish({ id }: Delivery): void {
    if (!this.#deliveries.some((other) => other.id === id)) this.#jobs.delete(id);
  }

  /** The worker that had it died: BullMQ finds its lock run out. */
  bringBack(delivery: Delivery, now: number): void {
    this.#deliveries.push({ ...delivery, notBefore: now + 10_000 });
  }

  missing(dispatches: readonly Dispatch[]): string[] {
    return dispatches.filter((dispatch) => !this.#jobs.has(idOf(dispatch))).map(({ taskId }) => taskId);
  }

  get nextWake(): number {
    return Math.min(Infinity, ...this.#deliveries.map(({ notBefore }) => notBefore));
  }
}
