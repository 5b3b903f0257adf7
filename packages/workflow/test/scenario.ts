import {
  type FailureClass,
  isRetryable,
  maxRevisions,
  type PhaseRequest,
  planIssues,
  type Priority,
  type RecoveryTable,
  type TaskRequest,
  type WorkflowRequest,
} from "@flotilla/workflow";
import fc from "fast-check";
import { undoIdOf } from "../src/compensation.ts";

/** What a worker does with a task, whoever and whenever it is. */
export interface Behaviour {
  /** Attempts that fail, from the first on. */
  failures: number;
  failure: FailureClass;
  durationMs: number;
  /** Claims whose worker dies, from the first on. */
  kills: number;
  /** Its deadline goes by in the moment in which the process dies that it has to itself, or somebody cancels. */
  isCancelledDying: boolean;
  /** Claims that then leave an effect in doubt, or ask for approval. */
  doubts: number;
  /** Whether they ask, and how long the person has, wait for a signal or hand over, to somebody or to nobody; undefined where an effect is in doubt. */
  asks?: { expiresInMs?: number } | "signal" | "handoff" | "refused";
  /** What a planner appends; may be nonsense. */
  append?: unknown[];
  /** What it appends at first, before it is told what is wrong with that. */
  draft?: unknown[];
}

/** What goes wrong on the way. A worker that hands its task back is no fault: it ends as if it had not. */
export interface Faults {
  /** Jobs are lost, doubled and late. */
  jobs: boolean;
  /** Supervisors die at any point of a look. */
  supervisors: boolean;
  /** Workers die, or stand still beyond their lease and then go on. */
  workers: boolean;
  cancel: boolean;
  /** Somebody asks for a retry at any time. */
  retries: boolean;
}

export interface Scenario {
  request: WorkflowRequest;
  /** The plan, be it asked for or made by the planner. */
  phases: readonly PhaseRequest[];
  behaviours: ReadonlyMap<string, Behaviour>;
  faults: Faults;
  /** How often the workflow is retried when it has failed or was aborted, after all that goes wrong. */
  retries: number;
  /** Who goes next, and what goes wrong; when they are spent, all goes on in good order. */
  choices: readonly number[];
}

/** A worker that just does its task. */
export const calm: Behaviour = {
  failures: 0,
  failure: "transient",
  durationMs: 0,
  kills: 0,
  isCancelledDying: false,
  doubts: 0,
};

/** The agent types of all scenarios. */
export const agents = new Map([
  ["plain", { mayPlan: false }],
  ["planner", { mayPlan: true }],
]);

interface TaskSeed {
  dependsOn: number[] | undefined;
  priority: Priority | undefined;
  attempts: number;
  backoffMs: number;
  onFailure: "fail" | "continue" | "compensate";
  /** How often what undoes it fails, where it says how it is undone. */
  undo: { failures: number; failure: FailureClass; kills: number } | undefined;
  fallback: boolean;
  recovery: RecoveryTable | undefined;
  failures: number;
  failure: FailureClass;
  durationMs: number;
  kills: number;
  isCancelledDying: boolean;
  doubts: number;
  asks: { expiresInMs?: number } | "signal" | "handoff" | "refused" | undefined;
  timeoutMs: number | undefined;
  deadlineMs: number | undefined;
  append: "none" | "sequential" | "parallel" | "mended" | "invalid" | "forbidden";
}

const often = <T>(usual: T, rarer: fc.Arbitrary<T>, weight = 3) =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: rarer });

const taskSeed = (withTimeouts: boolean): fc.Arbitrary<TaskSeed> =>
  fc.record({
    dependsOn: often<number[] | undefined>(undefined, fc.array(fc.nat(30), { maxLength: 3 }), 2),
    priority: often<Priority | undefined>(undefined, fc.constantFrom("critical", "high", "normal", "low")),
    attempts: fc.integer({ min: 1, max: 3 }),
    backoffMs: fc.constantFrom(0, 50, 3000),
    onFailure: fc.constantFrom("continue", "fail", "compensate"),
    // A person says what becomes of what could not be undone, and nothing that was undone can be retried or forked.
    undo: withTimeouts
      ? often<TaskSeed["undo"]>(
          undefined,
          fc.record({
            failures: often(0, fc.integer({ min: 1, max: 4 }), 2),
            failure: fc.constantFrom("transient", "data", "critical"),
            kills: often(0, fc.constantFrom(1, 3), 4),
          }),
          1,
        )
      : fc.constant(undefined),
    fallback: often(false, fc.constant(true)),
    // What a person says, and how often a task times out, is not the same in every order.
    recovery: withTimeouts
      ? often<RecoveryTable | undefined>(
          undefined,
          fc.constantFrom<RecoveryTable>({ transient: "escalate" }, { data: "escalate" }, { transient: "abort" }),
        )
      : fc.constant(undefined),
    failures: often(0, fc.integer({ min: 1, max: 3 }), 4),
    failure: often<FailureClass>("transient", fc.constantFrom("rate-limit", "unknown", "data", "critical")),
    durationMs: fc.constantFrom(0, 0, 300, 4000),
    kills: often(0, fc.constantFrom(1, 2, 3, 3, 4), 5),
    isCancelledDying: often(false, fc.constant(true)),
    doubts: often(0, fc.integer({ min: 1, max: 2 }), 7),
    asks: fc.constantFrom<TaskSeed["asks"][]>(
      undefined,
      {},
      { expiresInMs: 200 },
      { expiresInMs: 2000 },
      "signal",
      "handoff",
      "refused",
    ),
    timeoutMs: withTimeouts
      ? often<number | undefined>(undefined, fc.constantFrom(200, 1000, 9000))
      : fc.constant(undefined),
    deadlineMs: withTimeouts
      ? often<number | undefined>(undefined, fc.constantFrom(0, 300, 1000, 4000, 9000, 30_000), 3)
      : fc.constant(undefined),
    append: often<TaskSeed["append"]>(
      "none",
      fc.constantFrom("sequential", "parallel", "mended", "invalid", "forbidden"),
      3,
    ),
  });

const phaseSeed = (withTimeouts: boolean) =>
  fc.record({
    parallel: fc.boolean(),
    concurrency: often<number | undefined>(undefined, fc.integer({ min: 1, max: 2 })),
    tasks: fc.array(taskSeed(withTimeouts), { minLength: 1, maxLength: 4, size: "max" }),
  });

/** How the planner does. */
interface Planning {
  failures: number;
  failure: FailureClass;
  doubts: number;
  proposes: boolean;
}

const planning: fc.Arbitrary<Planning> = fc.record({
  failures: often(0, fc.integer({ min: 1, max: 3 }), 2),
  failure: fc.constantFrom("transient", "data", "critical"),
  doubts: often(0, fc.constant(1), 2),
  proposes: often(true, fc.constant(false), 4),
});

/** When the workflow may start, and is to be done, from its submission. */
interface Times {
  startMs?: number;
  deadlineMs?: number;
}

const times: fc.Arbitrary<Times> = fc.record(
  { startMs: fc.constantFrom(0, 400, 40_000), deadlineMs: fc.constantFrom(0, 500, 8000, 60_000) },
  { requiredKeys: [] },
);

/** A time as a request names it, so long after the model store begins. */
function timeAfter(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(1_000_000 + ms).toISOString();
}

interface PhaseSeed {
  parallel: boolean;
  concurrency: number | undefined;
  tasks: TaskSeed[];
}

const given = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  // A computed key loses its type.
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };

/** The phases, where `reach` says how many of the first tasks the one at a place may depend on. */
function phasesOf(seeds: readonly PhaseSeed[], reach: (place: number, count: number) => number): PhaseRequest[] {
  const count = seeds.reduce((sum, { tasks }) => sum + tasks.length, 0);
  let place = -1;
  return seeds.map(({ parallel, concurrency, tasks }, p) => ({
    name: `p${p}`,
    parallel,
    ...given("concurrency", concurrency),
    tasks: tasks.map((seed): TaskRequest => {
      place++;
      const within = reach(place, count);
      const needs = within === 0 ? [] : seed.dependsOn?.map((ref) => `t${ref % within}`);
      const dependsOn = seed.dependsOn && needs;
      return {
        id: `t${place}`,
        agent: ["none", "forbidden"].includes(seed.append) ? "plain" : "planner",
        input: { of: (dependsOn ?? []).map((id) => `{{tasks.${id}.output}}`), over: "{{input}}" },
        retry: { attempts: seed.attempts, backoffMs: seed.backoffMs },
        onFailure: seed.onFailure,
        ...given("dependsOn", dependsOn),
        ...given("priority", seed.priority),
        ...given("timeoutMs", seed.timeoutMs),
        ...given("deadline", timeAfter(seed.deadlineMs)),
        ...given("fallback", seed.fallback ? "planner" : undefined),
        ...given("recovery", seed.recovery),
        ...given("compensate", seed.undo && { agent: "plain", input: `{{tasks.t${place}.output}}` }),
      };
    }),
  }));
}

function appended(by: string, kind: Exclude<TaskSeed["append"], "none">): unknown[] {
  const task = (id: string, dependsOn?: string[]) => ({
    id,
    agent: "plain",
    input: dependsOn ? `{{tasks.${by}.output}}` : "{{input}}",
    ...given("dependsOn", dependsOn),
  });
  if (kind === "invalid") return [{ name: "again", parallel: true, tasks: [task(by)] }];
  const tasks = [task(`${by}-a`, [by]), task(`${by}-b`), task(`${by}-c`)];
  return [{ name: `of-${by}`, parallel: kind !== "sequential", tasks }];
}

/** A plan, or what the planner does when none is asked for: it may fail, and it may find that nothing is to be done. */
function built(
  seeds: readonly PhaseSeed[],
  concurrency: number | undefined,
  planning: Planning | undefined,
  more: Pick<WorkflowRequest, "approvePlan" | "startAt" | "deadline">,
) {
  // Any task may depend on any other, as far as that makes no circle; else on the ones before it.
  const free = phasesOf(seeds, (_, count) => count);
  const phases = planIssues(free, agents).length === 0 ? free : phasesOf(seeds, (place) => place);
  const behaviours = new Map<string, Behaviour>();
  seeds
    .flatMap(({ tasks }) => tasks)
    .forEach(({ failures, failure, durationMs, kills, isCancelledDying, doubts, asks, append, undo }, place) => {
      const id = `t${place}`;
      if (undo) behaviours.set(undoIdOf(id), { ...calm, durationMs, ...undo });
      behaviours.set(id, {
        failures,
        failure,
        durationMs,
        kills,
        isCancelledDying,
        doubts,
        ...given("asks", asks),
        ...(append === "none" ? {} : { append: appended(id, append) }),
        ...(append === "mended" ? { draft: appended(id, "invalid") } : {}),
      });
    });
  const plan = planning ? undefined : { phases };
  const request: WorkflowRequest = {
    input: "question",
    ...given("plan", plan),
    ...given("concurrency", concurrency),
    ...more,
  };
  if (planning) {
    const { proposes, ...fails } = planning;
    behaviours.set("planning", { ...calm, ...fails, ...(proposes ? { append: phases } : {}) });
  }
  return { request, phases, behaviours };
}

/**
 * Scenarios with these faults, with plans of up to 16 tasks in up to 4 phases and what they append. `persistent` ones
 * are retried until they complete, and nothing in them fails for ever or is passed over.
 */
export function scenarios(faults: Faults, { timeouts = false, persistent = false } = {}): fc.Arbitrary<Scenario> {
  return fc
    .record({
      seeds: fc.array(phaseSeed(timeouts), { minLength: 1, maxLength: 4, size: "max" }),
      concurrency: often<number | undefined>(undefined, fc.integer({ min: 1, max: 4 }), 1),
      planning: often<Planning | undefined>(undefined, planning),
      retries: persistent ? fc.constant(enoughRetries) : fc.nat(faults.retries ? 2 : 0),
      // What a person says about a plan is not the same in every order.
      approvePlan: timeouts ? often(false, fc.constant(true), 2) : fc.constant(false),
      times: timeouts ? often<Times>({}, times, 4) : fc.constant<Times>({}),
      choices: fc.array(fc.nat(9999), { maxLength: 400, size: "max" }),
    })
    .map(({ seeds, concurrency, planning, retries, approvePlan, times: { startMs, deadlineMs }, choices }) => ({
      ...built(persistent ? seeds.map(withoutLoss) : seeds, concurrency, planning, {
        ...given("approvePlan", approvePlan || undefined),
        ...given("startAt", timeAfter(startMs)),
        ...given("deadline", timeAfter(deadlineMs)),
      }),
      faults,
      retries,
      choices,
    }));
}

/** Each retry follows at least one attempt that failed, and no task here fails more than three. */
const enoughRetries = 3 * 17;

function withoutLoss(phase: PhaseSeed): PhaseSeed {
  const tasks = phase.tasks.map((task): TaskSeed => {
    const append = task.append === "invalid" || task.append === "forbidden" ? "none" : task.append;
    return { ...task, append, onFailure: "fail" };
  });
  return { ...phase, tasks };
}

/** How a task ends when nothing disturbs it: `fatal` and `critical` end the workflow, `skipped` fails and does not. */
function destiny(task: TaskRequest, behaviour: Behaviour): "done" | "skipped" | "fatal" | "critical" {
  if (behaviour.failures > 0 && behaviour.failure === "critical") return "critical";
  const last = lastAttempt(task, behaviour, task.agent, 1);
  const end =
    last === "done" || task.fallback === undefined ? last : lastAttempt(task, behaviour, task.fallback, last + 1);
  if (end === "done") return "done";
  return task.onFailure === "continue" ? "skipped" : "fatal";
}

/** The attempt on which an agent type is at its end with a task, where its first one is this; or that it is done. */
function lastAttempt(task: TaskRequest, { failures, failure, append }: Behaviour, agent: string, first: number) {
  const last = first + (task.retry?.attempts ?? 3) - 1;
  if (failures >= first && !isRetryable(failure)) return first;
  if (failures >= last) return last;
  const isRefused = append !== undefined && (agent !== "planner" || isNonsense(append));
  // A planner is told twice what is wrong, each time for another try.
  const tries = agent === "planner" ? maxRevisions : 0;
  return isRefused ? Math.max(first, failures + 1) + tries : "done";
}

// The generator makes one kind of nonsense only: phases named so.
const isNonsense = (append: unknown[]) => JSON.stringify(append).includes('"again"');

/** The ends that the contract allows whatever the order is, with no timeout, cancel or death. */
export function allowedEnds({ request, phases, behaviours, retries }: Scenario): Set<string> {
  if (retries === enoughRetries) return new Set(["completed"]);
  const destinyOf = (task: TaskRequest) => destiny(task, behaviours.get(task.id) ?? calm);
  const planned = request.plan ? "done" : destinyOf({ id: "planning", agent: "planner", input: "" });
  const isRun = planned === "done" && (request.plan ?? behaviours.get("planning")?.append);
  const destinies = new Set([planned, ...(isRun ? phases.flatMap((phase) => phase.tasks.map(destinyOf)) : [])]);
  const ends = new Set<string>();
  if (destinies.has("fatal")) ends.add("failed");
  if (destinies.has("critical")) ends.add("aborted");
  return ends.size > 0 ? ends : new Set(["completed"]);
}
