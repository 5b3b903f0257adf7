import { hasEnded } from "@flotilla/client";
import type { EventView, WorkflowStatus } from "@flotilla/workflow";
import type { Ack } from "./ledger.ts";

/** A line of the probe's effect log, as far as it matters here. */
export interface Effect {
  workflowId: string;
  key: string;
  applied: boolean;
}

/** A workflow as the fleet tells it in the end. */
export interface Told {
  status: WorkflowStatus;
  events: readonly Pick<EventView, "seq" | "type" | "at" | "taskId">[];
}

/** All that is known when the dust has settled. */
export interface Evidence {
  acks: readonly Ack[];
  /** Ids of every workflow that the fleet lists, acknowledged or not. */
  listed: readonly string[];
  told: ReadonlyMap<string, Told>;
  effects: readonly Effect[];
}

/** What a workflow may have suffered. */
export type Harm =
  /** Acknowledged, and unknown or not completed in the end. */
  | "lost"
  /** One idempotency key, two workflows; or a workflow that nobody was promised. */
  | "doubled"
  /** Not ended when everything had time to end. */
  | "stuck"
  /** Places in the log with gaps or doubles, a task before the one it needs, or one that completed twice. */
  | "out of order"
  /** Something stands in the log behind its end, or it ended twice. */
  | "after the end"
  /** An effect that happened twice. */
  | "applied twice"
  /** An effect of a completed workflow that never happened. */
  | "never applied";

export interface Finding {
  harm: Harm;
  /** The workflow, or the key of the effect. */
  subject: string;
  detail: string;
}

const endTypes = new Set(["workflow.completed", "workflow.failed", "workflow.aborted", "workflow.cancelled"]);

/** Everything that is wrong, of every acknowledged workflow. Pure: it looks at the evidence and nothing else. */
export function check({ acks, listed, told, effects }: Evidence): Finding[] {
  return [
    ...acks.flatMap((ack) => judge(ack, told.get(ack.id))),
    ...doubledWorkflows(acks, listed),
    ...judgeEffects(acks, told, effects),
  ];
}

function judge({ id, tasks }: Ack, workflow: Told | undefined): Finding[] {
  if (!workflow) return [{ harm: "lost", subject: id, detail: "nobody knows it" }];
  const { status, events } = workflow;
  const findings = judgeLog(id, tasks, events);
  if (!hasEnded(status)) findings.push({ harm: "stuck", subject: id, detail: `it is ${status}` });
  else if (status !== "completed") findings.push({ harm: "lost", subject: id, detail: `it ended as ${status}` });
  else {
    const completed = new Set(events.filter(({ type }) => type === "task.completed").map(({ taskId }) => taskId));
    const missing = tasks.filter((task) => !completed.has(task));
    if (missing.length > 0) findings.push({ harm: "lost", subject: id, detail: `without ${missing.join(", ")}` });
  }
  return findings;
}

function judgeLog(id: string, tasks: readonly string[], events: Told["events"]): Finding[] {
  const findings: Finding[] = [];
  const report = (harm: Harm, detail: string) => findings.push({ harm, subject: id, detail });
  events.forEach(({ seq }, index) => {
    if (seq !== index + 1) report("out of order", `place ${index + 1} holds ${seq}`);
  });
  const end = events.findIndex(({ type }) => endTypes.has(type));
  if (end >= 0 && end < events.length - 1) {
    const after = events.slice(end + 1).map(({ type }) => type);
    report("after the end", after.join(", "));
  }
  const completions = new Map<string, number>();
  const started = new Map<string, number>();
  for (const { seq, type, taskId = "" } of events) {
    if (type === "task.started" && !started.has(taskId)) started.set(taskId, seq);
    if (type !== "task.completed") continue;
    if (completions.has(taskId)) report("out of order", `${taskId} completed twice`);
    else completions.set(taskId, seq);
  }
  tasks.forEach((task, index) => {
    const before = tasks[index - 1];
    const startedAt = started.get(task);
    if (before === undefined || startedAt === undefined) return;
    if ((completions.get(before) ?? Infinity) > startedAt) report("out of order", `${task} started before ${before}`);
  });
  return findings;
}

function doubledWorkflows(acks: readonly Ack[], listed: readonly string[]): Finding[] {
  const promised = new Set(acks.map(({ id }) => id));
  const findings: Finding[] = listed
    .filter((id) => !promised.has(id))
    .map((id) => ({ harm: "doubled", subject: id, detail: "nobody was promised it" }));
  const ids = new Map<string, string>();
  for (const { id, idempotencyKey } of acks) {
    const first = ids.get(idempotencyKey);
    if (first !== undefined && first !== id) {
      findings.push({ harm: "doubled", subject: id, detail: `the key ${idempotencyKey} has ${first} too` });
    }
    ids.set(idempotencyKey, id);
  }
  return findings;
}

function judgeEffects(acks: readonly Ack[], told: Evidence["told"], effects: readonly Effect[]): Finding[] {
  const times = new Map<string, number>();
  for (const { key, applied } of effects) if (applied) times.set(key, (times.get(key) ?? 0) + 1);
  const twice = [...times].filter(([, count]) => count > 1);
  const never = acks
    .filter(({ id }) => told.get(id)?.status === "completed")
    .flatMap((ack) => ack.effects)
    .filter((key) => !times.has(key));
  return [
    ...twice.map(([key, count]): Finding => ({ harm: "applied twice", subject: key, detail: `${count} times` })),
    ...never.map((key): Finding => ({ harm: "never applied", subject: key, detail: "though its workflow completed" })),
  ];
}

/**
 * How long the fleet needed after each of these moments, in ms, until a workflow had ended that was acknowledged after
 * it; moments after which none was are left out. Ends are told in the time of Redis, on the same machine as the ledger.
 */
export function recoveries(moments: readonly number[], { acks, told }: Pick<Evidence, "acks" | "told">): number[] {
  const ends = acks
    .flatMap(({ id, at }) => {
      const last = told.get(id)?.events.findLast(({ type }) => endTypes.has(type));
      return last ? [{ acknowledgedAt: at, endedAt: Date.parse(last.at) }] : [];
    })
    .toSorted((a, b) => a.acknowledgedAt - b.acknowledgedAt);
  // From the last to the first: the earliest end of all that were acknowledged from here on.
  let earliest = Infinity;
  const earliestFrom = ends.toReversed().map(({ endedAt }) => (earliest = Math.min(earliest, endedAt)));
  earliestFrom.reverse();
  return moments.flatMap((moment) => {
    const next = ends.findIndex(({ acknowledgedAt }) => acknowledgedAt > moment);
    const endedAt = earliestFrom[next];
    return endedAt === undefined ? [] : [Math.max(0, endedAt - moment)];
  });
}
