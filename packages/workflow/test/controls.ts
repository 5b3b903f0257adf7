import {
  decide,
  type Dispatch,
  type EventBody,
  fold,
  isOutstanding,
  isReady,
  type TaskState,
} from "@flotilla/workflow";
import type { PropertyKey } from "./properties.ts";
import type { Tampering } from "./simulation.ts";

/** A mistake, and the property that must find it. */
export interface Control {
  mistake: string;
  property: PropertyKey;
  tampering: Tampering;
}

type Decide = typeof decide;

/** Schedules the first task that waits for others, as if it did not. */
const impatient: Decide = (state, look) => {
  const decision = decide(state, look);
  const isOpen = decision.after.endedAt === undefined && decision.after.status === "running";
  const waiting = [...decision.after.tasks.values()].find(
    (task) =>
      isOpen &&
      task.stage.kind === "pending" &&
      task.dispatch === 0 &&
      task.attempt === 1 &&
      !isReady(decision.after, task),
  );
  return waiting ? withSchedule(decision, waiting) : decision;
};

function withSchedule(decision: ReturnType<Decide>, task: TaskState): ReturnType<Decide> {
  const { id: taskId, agent, attempt, priority } = task;
  const event: EventBody = { type: "task.scheduled", taskId, attempt, data: { dispatch: 1 } };
  const dispatch: Dispatch = { taskId, agent, attempt, dispatch: 1, priority, deaths: 0 };
  return { ...decision, events: [...decision.events, event], dispatches: [...decision.dispatches, dispatch] };
}

/** Holds one more task at once than the workflow, or a phase, may. */
const greedy: Decide = (state, look) => {
  const phases = state.phases.map(({ request, open }) => {
    const { concurrency } = request;
    return concurrency === undefined
      ? { request, open }
      : { request: { ...request, concurrency: concurrency + 1 }, open };
  });
  const { after, ...decision } = decide({ ...state, phases }, look);
  return {
    ...decision,
    after: {
      ...after,
      phases: after.phases.map((phase, p) => ({ ...phase, request: state.phases[p]?.request ?? phase.request })),
    },
  };
};

const sleepy: Decide = (state, look) => {
  const decision = decide(state, look);
  return { ...decision, quiet: decision.quiet + 1 };
};

/** Decides the second wave ahead as if it were the first. */
const hasty: Decide = (state, look) => {
  const decision = decide(state, look);
  return { ...decision, waves: decision.waves.slice(1) };
};

/** Trusts that every job arrives. */
const trusting: Decide = (state, look) => {
  const decision = decide(state, { ...look, missing: [], isRepeated: false });
  return { ...decision, suspects: [] };
};

const repetitive: Decide = (state, look) => {
  const decision = decide(state, look);
  const waiting = [...decision.after.tasks.values()].find(
    ({ stage }) => isOutstanding(stage) && stage.kind === "scheduled",
  );
  if (!waiting) return decision;
  const { id: taskId, attempt, dispatch } = waiting;
  const event: EventBody = { type: "repair.applied", taskId, attempt, data: { kind: "job-missing", dispatch } };
  return { ...decision, events: [...decision.events, event] };
};

/** Undoes in the order in which things were done. */
const backward: Decide = (state, look) => {
  const decision = decide(state, look);
  const events = decision.events.map((event): EventBody =>
    event.type === "workflow.compensating"
      ? { ...event, data: { ...event.data, tasks: event.data.tasks.toReversed() } }
      : event,
  );
  return { ...decision, events };
};

/** Does not wait for the person whom a task waits for. */
const headstrong: Decide = (state, look) => {
  const decision = decide(state, look);
  const waiting = [...decision.after.tasks.values()].find(({ stage }) => stage.kind === "waiting");
  return waiting && decision.after.endedAt === undefined ? withSchedule(decision, waiting) : decision;
};

/** Runs what is planned without asking the person who wants to be asked. */
const bold: Decide = (state, look) => {
  const { approvePlan: _, ...request } = state.request;
  return decide({ ...state, request }, look);
};

/** Forgets between two calls when tasks have started. */
const forgetful: typeof fold = (id, state, events) => {
  if (!state) return fold(id, state, events);
  const tasks = new Map([...state.tasks].map(([taskId, task]) => [taskId, { ...task, startedAt: undefined }]));
  return fold(id, { ...state, tasks }, events);
};

/** The mistakes that show that the properties have teeth; at least one for each that could be empty. */
export const controls: readonly Control[] = [
  { mistake: "a worker's output depends on the time", property: "sameEnd", tampering: { output: (_, now) => now } },
  {
    mistake: "a worker's output depends on the time",
    property: "sameEndOfRetries",
    tampering: { output: (_, now) => now },
  },
  { mistake: "lost jobs are not looked for", property: "sameEnd", tampering: { decide: trusting } },
  {
    mistake: "a task is scheduled without its dependencies",
    property: "dependencies",
    tampering: { decide: impatient },
  },
  { mistake: "a phase may hold one task more", property: "concurrency", tampering: { decide: greedy } },
  {
    mistake: "a claim is not checked for its epoch",
    property: "fencing",
    tampering: { defect: "claims-are-not-fenced" },
  },
  { mistake: "facts are taken after the end", property: "finality", tampering: { defect: "writes-after-the-end" } },
  {
    mistake: "a decision is not checked for its revision",
    property: "validity",
    tampering: { defect: "revisions-are-not-compared" },
  },
  {
    mistake: "a workflow ends over facts that nobody saw",
    property: "validity",
    tampering: { defect: "ends-over-unseen-facts" },
  },
  {
    mistake: "what was done first is undone first",
    property: "compensation",
    tampering: { decide: backward },
  },
  {
    mistake: "an item is settled as often as somebody asks",
    property: "validity",
    tampering: { defect: "items-are-settled-again" },
  },
  {
    mistake: "an item expires that a person has just settled",
    property: "validity",
    tampering: { defect: "expires-over-an-answer" },
  },
  {
    mistake: "a task that waits for a person is scheduled without their word",
    property: "validity",
    tampering: { decide: headstrong },
  },
  {
    mistake: "a plan runs that nobody has approved",
    property: "validity",
    tampering: { decide: bold },
  },
  { mistake: "the fold forgets times between two calls", property: "oneFold", tampering: { fold: forgetful } },
  {
    mistake: "a worker keeps its claim over a retry",
    property: "fencing",
    tampering: { defect: "retry-leaves-claims" },
  },
  {
    mistake: "what was under way in the source is not begun anew",
    property: "fork",
    tampering: { defect: "forks-are-not-told" },
  },
  {
    mistake: "a cancelled workflow is retried",
    property: "finality",
    tampering: { defect: "retry-resumes-anything" },
  },
  { mistake: "lost jobs are not looked for", property: "ends", tampering: { decide: trusting } },
  { mistake: "one completion too many is quiet", property: "askedFor", tampering: { decide: sleepy } },
  {
    mistake: "a look forgets the facts that came meanwhile",
    property: "askedFor",
    tampering: { defect: "settle-forgets-facts" },
  },
  { mistake: "a wave is left out", property: "dependencies", tampering: { decide: hasty } },
  { mistake: "a decision repeats itself", property: "idempotent", tampering: { decide: repetitive } },
];
