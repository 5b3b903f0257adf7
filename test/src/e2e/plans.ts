import type { WorkflowRequestInput } from "@flotilla/client";
import type { EventView, PhaseRequest, ProbeInput, WorkflowView } from "@flotilla/workflow";
import { collect } from "./collect.ts";
import type { Fleet } from "./fleet.ts";

type Phase = NonNullable<WorkflowRequestInput["plan"]>["phases"][number];
type Task = Phase["tasks"][number];
/** A probe's input as a client writes it: any field may hold a template. */
type Told = { [field in keyof ProbeInput]?: unknown };

/** A task of the probe. */
export function probe(id: string, input: Told = {}, rest: Omit<Task, "id" | "agent" | "input"> = {}): Task {
  // What the probe refuses is for the fleet to say.
  return { id, agent: "probe", input: input as Task["input"], ...rest };
}

/** That many probes with names from a prefix. */
export function probes(
  count: number,
  prefix: string,
  input: Told = {},
  rest: Parameters<typeof probe>[2] = {},
): Task[] {
  return Array.from({ length: count }, (_, at) => probe(`${prefix}${at}`, input, rest));
}

/** A phase whose tasks run together. */
export function together(name: string, tasks: Task[], rest: Pick<PhaseRequest, "concurrency"> = {}): Phase {
  return { name, parallel: true, tasks, ...rest };
}

/** A phase whose tasks run one after the other. */
export function inTurn(name: string, tasks: Task[]): Phase {
  return { name, parallel: false, tasks };
}

/** A request with these phases. */
export function planOf(...phases: Phase[]): WorkflowRequestInput {
  return { input: "end to end", plan: { phases } };
}

/** A workflow that has ended. */
export interface Run {
  view: WorkflowView;
  events: EventView[];
}

/** Submits, and waits for the end. */
export async function run(fleet: Pick<Fleet, "client">, request: WorkflowRequestInput): Promise<Run> {
  const { id } = await fleet.client.submit(request);
  const view = await fleet.client.wait(id);
  return { view, events: await collect(fleet.client.events(id)) };
}

/** What the probe was told to give, of a task or of a result that is one task's. */
export function outputOf({ view }: Run, taskId?: string): unknown {
  const output = taskId === undefined ? view.result : view.tasks.find(({ id }) => id === taskId)?.output;
  if (typeof output !== "object" || output === null || !("output" in output)) {
    throw new Error(`no output of a probe: ${JSON.stringify(output)}; ${JSON.stringify(view.error)}`);
  }
  return output.output;
}

/** The place of the first event of that type in the log, of one task. */
export function seqOf({ events }: Run, type: string, taskId: string): number {
  const found = events.find((event) => event.type === type && event.taskId === taskId);
  if (!found) throw new Error(`no ${type} of ${taskId}`);
  return found.seq;
}

/** Tasks in the order in which they were claimed. */
export function startOrder({ events }: Run): string[] {
  return events.filter(({ type }) => type === "task.started").flatMap(({ taskId }) => taskId ?? []);
}

/** Most tasks that ran at one time, as the log has it. */
export function mostAtOnce({ events }: Run, isOne: (taskId: string) => boolean = () => true): number {
  const running = new Set<string>();
  let most = 0;
  for (const { type, taskId } of events) {
    if (taskId === undefined || !isOne(taskId)) continue;
    if (type === "task.started") running.add(taskId);
    else if (/^task\.(completed|failed|timed_out|cancelled|released|crashed)$/.test(type)) running.delete(taskId);
    most = Math.max(most, running.size);
  }
  return most;
}
