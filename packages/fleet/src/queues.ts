import { type Dispatch, jobPriority, type Priority } from "@flotilla/workflow";
import { type JobsOptions, Queue } from "bullmq";
import type { Connection } from "./connection.ts";
import { admissionQueue, agentQueue, queuePrefix } from "./keys.ts";

/** What a job of an agent queue says: which dispatch it is, and nothing that is not in the log. */
export interface TaskJob {
  workflowId: string;
  taskId: string;
  attempt: number;
  dispatch: number;
  /** Workers that have died under the task; left out for none. */
  deaths?: number;
  /** W3C trace context of who added it; says nothing of which dispatch it is. */
  traceparent?: string;
}

/** A dispatch, and from where its trace goes on. */
export interface TracedDispatch {
  workflowId: string;
  dispatch: Dispatch;
  traceparent?: string | undefined;
}

/** What a job of the admission queue says. */
export interface AdmissionJob {
  workflowId: string;
  /** As of a `TaskJob`. */
  traceparent?: string;
}

/** Jobs by BullMQ state. */
export type Depth = Record<"wait" | "prioritized" | "active" | "failed", number>;

/** A dispatch repeated has the same id, and adding it while it is there is a no-op. */
function jobId(workflowId: string, { taskId, attempt, dispatch }: Dispatch): string {
  return `${workflowId}.${taskId}.${attempt}.${dispatch}`;
}

/** The BullMQ queues of the fleet, seen from those who add jobs and count them. */
export class Queues {
  readonly #connection: Connection;
  readonly #queues = new Map<string, Queue>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** A queue by its name, opened when first asked for. */
  open(name: string): Queue {
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = new Queue(name, {
      connection: this.#connection,
      prefix: queuePrefix(name),
      skipVersionCheck: true,
      skipWaitingForReady: true,
      streams: { events: { maxLen: 100 } },
    });
    // The connection's own listener has said it.
    queue.on("error", () => undefined);
    this.#queues.set(name, queue);
    return queue;
  }

  /**
   * Adds one job for each dispatch; resolves when all are acknowledged. Not by `addBulk`: its transaction cost twice the
   * CPU of the jobs in it where they are few, no less where they are many, and resolved on a node that refused them.
   */
  async dispatch(items: readonly TracedDispatch[]): Promise<void> {
    await Promise.all(
      items.map(({ workflowId, dispatch, traceparent }) => {
        const queue = this.open(agentQueue(dispatch.agent));
        const jobOptions = options(jobId(workflowId, dispatch), dispatch.priority, 1000);
        return queue.add("task", traced(taskJob(workflowId, dispatch), traceparent), jobOptions);
      }),
    );
  }

  /** Puts workflows into the admission queue; one that is in it already stays where it is. */
  async admit(
    workflows: readonly { id: string; priority: Priority; traceparent?: string | undefined }[],
  ): Promise<void> {
    await Promise.all(
      workflows.map(({ id, priority, traceparent }) => {
        const data: AdmissionJob = { workflowId: id };
        return this.open(admissionQueue).add("workflow", traced(data, traceparent), options(id, priority, 0));
      }),
    );
  }

  /**
   * Of these dispatches, the tasks that no worker will find: their job is not in its queue any more, has failed there, or
   * is not what was put there. What is left of such a job is removed.
   */
  async missing(workflowId: string, dispatches: readonly Dispatch[]): Promise<string[]> {
    const sound = await Promise.all(
      dispatches.map((dispatch) => {
        const data = taskJob(workflowId, dispatch);
        return this.#isSound(this.open(agentQueue(dispatch.agent)), jobId(workflowId, dispatch), data);
      }),
    );
    return dispatches.filter((_, index) => !sound[index]).map(({ taskId }) => taskId);
  }

  /** Whether a workflow waits in the admission queue. What is left of a job that does not is removed, so that it may be added. */
  async isAdmissible(id: string): Promise<boolean> {
    const data: AdmissionJob = { workflowId: id };
    return this.#isSound(this.open(admissionQueue), id, data);
  }

  async #isSound(queue: Queue, id: string, data: TaskJob | AdmissionJob): Promise<boolean> {
    const [state, [kept, opts]] = await Promise.all([
      queue.getJobState(id),
      // Rejects where the key holds something else than a job.
      this.#connection.hmget(queue.toKey(id), "data", "opts").catch(ifWrongType),
    ]);
    if (state === "failed" || state === "completed") return false;
    if (state !== "unknown" && isKept(kept, data) && isJson(opts)) return true;
    // Adding the same id again is a no-op while anything of it is there.
    await queue.remove(id).catch(() => this.#connection.unlink(queue.toKey(id)));
    return false;
  }

  /** How many jobs a queue holds. */
  async depth(name: string): Promise<Depth> {
    const counts = await this.open(name).getJobCounts("wait", "prioritized", "active", "failed");
    const { wait = 0, waiting = 0, prioritized = 0, active = 0, failed = 0 } = counts;
    return { wait: wait + waiting, prioritized, active, failed };
  }

  /** Time of the oldest job that waits, in ms since the epoch; undefined when none does. */
  async oldest(name: string): Promise<number | undefined> {
    const queue = this.open(name);
    const [waiting, prioritized] = await Promise.all([
      queue.getJobs(["waiting"], 0, 0, true),
      queue.getJobs(["prioritized"], 0, 0, true),
    ]);
    const times = [...waiting, ...prioritized].map((job) => job.timestamp);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
  }
}

function taskJob(workflowId: string, { taskId, attempt, dispatch, deaths }: Dispatch): TaskJob {
  return { workflowId, taskId, attempt, dispatch, ...(deaths > 0 && { deaths }) };
}

function traced<J extends TaskJob | AdmissionJob>(job: J, traceparent: string | undefined): J {
  return traceparent === undefined ? job : { ...job, traceparent };
}

/** Whether this is the text of a job, by whomever it was added: each who adds it has a trace of its own to go on from. */
function isKept(text: string | null | undefined, job: TaskJob | AdmissionJob): boolean {
  return text?.replace(/,"traceparent":"[0-9a-f-]{55}"\}$/, "}") === JSON.stringify(job);
}

function ifWrongType(error: unknown): null[] {
  if (error instanceof Error && error.message.startsWith("WRONGTYPE")) return [null, null];
  throw error;
}

function isJson(text: string | null | undefined): boolean {
  try {
    return typeof text === "string" && typeof JSON.parse(text) === "object";
  } catch {
    return false;
  }
}

function options(id: string, priority: Priority, failedKept: number): JobsOptions {
  return {
    jobId: id,
    priority: jobPriority(priority),
    attempts: 1,
    removeOnComplete: true,
    removeOnFail: failedKept === 0 ? true : { count: failedKept },
  };
}
