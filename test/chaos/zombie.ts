import { setTimeout as delay } from "node:timers/promises";
import { type Connection, Scripts } from "@flotilla/fleet";

/** The lease that a zombie takes, in ms: that of every worker. */
const leaseMs = 6000;

/** What a late write is answered. */
const refusals = new Set<unknown>(["superseded", "cancelled", "ended", "unknown"]);

/** A task of a workflow, as a worker finds it in its queue. */
export interface Target {
  workflowId: string;
  taskId: string;
}

/** A worker that has claimed a task and then does nothing until long after its lease: what it writes then is late. */
export class Zombie {
  readonly target: Target;
  readonly #connection: Connection;
  readonly #scripts: Scripts;
  readonly #tag: string;
  readonly #holder: string;
  #epoch = 0;

  constructor(connection: Connection, target: Target, number: number) {
    this.target = target;
    this.#connection = connection;
    this.#scripts = new Scripts(connection);
    this.#tag = `{s${target.workflowId.slice(3, 5)}}`;
    this.#holder = `zombie.${number}`;
  }

  /** Resolves when it has the claim, as soon as there is one to be had. */
  async claim(signal: AbortSignal): Promise<void> {
    const { workflowId, taskId } = this.target;
    for (;;) {
      const item = [workflowId, taskId, 1, 1, this.#holder, "zombie"];
      const answer = await this.#scripts.item("claim", this.#tag, item, [leaseMs, 0]);
      if (Array.isArray(answer) && answer[0] === "claimed") {
        this.#epoch = Number(answer[1]);
        return;
      }
      if (!Array.isArray(answer) || answer[0] !== "unknown") throw new Error(`a zombie was told ${String(answer)}`);
      await delay(50, undefined, { signal });
    }
  }

  /** Writes all that a worker may write under its claim; the kinds of those that were taken. */
  async writeLate(): Promise<string[]> {
    const { workflowId, taskId } = this.target;
    const writer = [workflowId, taskId, this.#epoch, this.#holder];
    const event = (type: string, data: object) =>
      JSON.stringify({ type, taskId, attempt: 1, epoch: this.#epoch, data });
    const output = event("task.completed", { outputBytes: 8, output: { output: "zombie" } });
    const error = { class: "critical", code: "zombie", message: "a late failure" };
    const writes = {
      renew: () => this.#scripts.item("renew", this.#tag, writer, [leaseMs]),
      step: () => this.#scripts.item("step", this.#tag, [...writer, "result", "zombie", '{"key":"zombie"}']),
      progress: () =>
        this.#scripts.item("step", this.#tag, [
          ...writer,
          "progress",
          "",
          event("task.progressed", { message: "late" }),
        ]),
      completed: () => this.#scripts.item("record", this.#tag, [...writer, "completed", "", 0, output]),
      failed: () =>
        this.#scripts.item("record", this.#tag, [...writer, "failed", "", 0, event("task.failed", { error })]),
      released: () =>
        this.#scripts.item("record", this.#tag, [
          ...writer,
          "released",
          "",
          0,
          event("task.released", { reason: "late" }),
        ]),
    };
    const taken: string[] = [];
    for (const [kind, write] of Object.entries(writes)) if (!refusals.has(await write())) taken.push(kind);
    return taken;
  }

  /** What a store without epochs would let happen: the result goes into the log, whoever has the task now. */
  async writeWithoutEpoch(): Promise<void> {
    const { workflowId, taskId } = this.target;
    const key = `${this.#tag}:wf:${workflowId}`;
    const seq = await this.#connection.hincrby(`${key}:index`, "tip", 1);
    const event = {
      type: "task.completed",
      taskId,
      attempt: 1,
      data: { outputBytes: 8, output: { output: "zombie" } },
    };
    await this.#connection.xadd(`${key}:log`, `${seq}-0`, "at", Date.now(), "event", JSON.stringify(event));
  }
}
