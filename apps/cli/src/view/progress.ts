import { EventBody, type EventView, type PhaseRequest, requestedPhases } from "@flotilla/workflow";

/** How far a task is, as its events tell. */
export interface TaskProgress {
  id: string;
  agent: string;
  state: "pending" | "queued" | "running" | "waiting" | "retrying" | "completed" | "failed" | "cancelled";
  worker?: string;
  /** The latest word of the agent, or why it failed. */
  message?: string;
  /** What it waits for, in words, as long as that is known and lasts. */
  waits?: string;
  startedAt?: number;
  endedAt?: number;
}

/** How far a workflow is. */
export interface Progress {
  status: string;
  startedAt?: number;
  phases: { name: string; tasks: TaskProgress[] }[];
}

/** Follows a workflow by its events; events of types that this release does not know change nothing. */
export class ProgressTracker {
  readonly progress: Progress = { status: "queued", phases: [] };
  /** The plan of the request, which the log does not say twice. */
  #requested: readonly PhaseRequest[] = [];
  readonly #tasks = new Map<string, TaskProgress>();

  /** Takes the next event, and answers a line that tells it to a person, for the events that are worth one. */
  apply(view: EventView): string | undefined {
    const parsed = EventBody.safeParse(view);
    if (!parsed.success) return undefined;
    const at = Date.parse(view.at);
    this.progress.startedAt ??= at;
    return this.#apply(parsed.data, at);
  }

  /** Takes what tasks wait for now; answers a line for each of which that is news. What follows a colon moves, and is none. */
  wait(waits: ReadonlyMap<string, string>): string[] {
    const news: string[] = [];
    for (const task of this.#tasks.values()) {
      const words = waits.get(task.id);
      const isNews = words?.split(":")[0] !== task.waits?.split(":")[0];
      if (words !== undefined && isNews) news.push(`${task.id} ${words}`);
      if (words === undefined) delete task.waits;
      else task.waits = words;
    }
    return news;
  }

  #apply(event: EventBody, at: number): string | undefined {
    switch (event.type) {
      case "workflow.submitted":
        this.#requested = requestedPhases(event.data.request) ?? [];
        return "submitted";
      case "workflow.started":
        this.progress.status = "running";
        return undefined;
      case "workflow.planned":
        return this.#plan(event.data.by, event.data.phases ?? this.#requested);
      case "workflow.completed":
        return this.#end("completed");
      case "workflow.failed":
        return this.#end("failed", event.data.error.message);
      case "workflow.aborted":
        return this.#end("aborted", event.data.error.message);
      case "workflow.cancelled":
        return this.#end("cancelled", event.data.reason);
      case "cancel.requested":
        return "cancel requested";
      case "signal.received":
        return `signal ${event.data.name} received`;
      case "handoff.requested":
        this.#set(event.taskId, { state: "waiting" });
        return `${event.taskId} hands over to ${event.data.to}`;
      case "handoff.accepted":
      case "handoff.rolled_back":
        return undefined;
      case "handoff.completed":
        return `${event.taskId} has back what it handed over`;
      case "handoff.failed":
        return `what ${event.taskId} handed over failed: ${event.data.error.message} (${event.data.error.code})`;
      case "retry.requested":
        this.progress.status = "running";
        return "retry requested";
      case "tasks.scheduled":
        for (const { taskId } of event.data.tasks) this.#set(taskId, { state: "queued" });
        return undefined;
      case "task.scheduled":
        this.#set(event.taskId, { state: "queued" });
        return undefined;
      case "task.started":
        this.#set(event.taskId, { state: "running", worker: event.data.worker, startedAt: at });
        return `${event.taskId} started on ${event.data.worker}`;
      case "task.progressed":
        this.#set(event.taskId, { message: event.data.message });
        return `${event.taskId}: ${event.data.message}`;
      case "task.completed":
        this.#set(event.taskId, { state: "completed", endedAt: at });
        return `${event.taskId} completed`;
      case "task.failed":
        this.#set(event.taskId, { state: "failed", message: event.data.error.message, endedAt: at });
        return `${event.taskId} failed: ${event.data.error.message} (${event.data.error.code})`;
      case "task.retrying":
        this.#set(event.taskId, { state: "retrying", message: event.data.error.message });
        return event.data.revision
          ? `${event.taskId} is told what is wrong with its plan: ${event.data.error.message}`
          : `${event.taskId} will be tried again`;
      case "task.timed_out":
        return `${event.taskId} ran out of time`;
      case "task.crashed":
        return `${event.taskId} lost its worker`;
      case "task.released":
        if (event.data.awaits) this.#set(event.taskId, { state: "waiting", message: event.data.reason });
        if (event.data.postponed) this.#set(event.taskId, { state: "waiting", message: event.data.reason });
        return event.data.awaits || event.data.postponed
          ? `${event.taskId} ${event.data.reason}`
          : `${event.taskId} was handed back: ${event.data.reason}`;
      case "task.cancelled":
        this.#set(event.taskId, { state: "cancelled", endedAt: at });
        return undefined;
      case "workflow.waiting":
        this.progress.status = "waiting";
        return "waits for a person or a signal: see flotilla inbox";
      case "workflow.resumed":
        this.progress.status = "running";
        return "goes on";
      case "item.opened":
        this.#set(event.taskId, { state: "waiting", message: event.data.summary });
        return `${event.taskId ?? "the workflow"} waits for a person: ${event.data.summary}`;
      case "item.settled":
        this.#set(event.taskId, { state: "pending" });
        return `${event.taskId ?? "the plan"}: a person decided ${event.data.decision}`;
      case "workflow.compensating":
        return `what was done is undone: ${event.data.tasks.join(", ")}`;
      case "task.compensated":
        return `${event.taskId} is undone`;
      case "item.expired":
        return `${event.taskId ?? "the plan"}: nobody answered in time`;
      case "task.quarantined":
      case "state.changed":
      case "repair.applied":
        return undefined;
    }
  }

  #plan(by: string, phases: readonly PhaseRequest[]): string {
    for (const { name, tasks } of phases) {
      const added = tasks.map(({ id, agent }): TaskProgress => ({ id, agent, state: "pending" }));
      for (const task of added) this.#tasks.set(task.id, task);
      this.progress.phases.push({ name, tasks: added });
    }
    return `planned by ${by}: ${phases.map(phaseLine).join(", ")}`;
  }

  #set(taskId: string | undefined, change: Partial<TaskProgress>): void {
    const task = taskId === undefined ? undefined : this.#tasks.get(taskId);
    if (!task) return;
    delete task.waits;
    Object.assign(task, change);
  }

  #end(status: string, reason?: string): string {
    this.progress.status = status;
    return reason === undefined ? status : `${status}: ${reason}`;
  }
}

function phaseLine({ name, tasks }: PhaseRequest): string {
  return `${name} (${tasks.length})`;
}
