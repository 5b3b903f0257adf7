import type { Dispatch } from "./dispatch.ts";
import { isOutstanding, isSettled, type TaskState, type WorkflowState } from "./state.ts";

/** Most waves that are decided ahead, and most tasks in all of them: they are stored by every look. */
const maxWaves = 16;
const maxTasksAhead = 128;

/** Tasks that become ready at one moment, and that nothing holds back then. */
export interface Wave {
  dispatches: readonly Dispatch[];
  /** How many of these tasks may complete before there is anything to do again. */
  quiet: number;
}

/** What is decided now about the completions to come. */
export interface Ahead {
  /** How many tasks may complete before there is anything to do. */
  quiet: number;
  /** The completion after those schedules the first wave, in the same step that records it; and so on. */
  waves: readonly Wave[];
}

/**
 * The part of the plan that needs no look, as long as tasks complete and nothing else happens. While it goes as planned,
 * the state after each completion is known now, and so is what a look would decide: nothing, for the first `quiet`
 * completions, then to schedule the first wave. Waves are named only where that holds in whatever order the tasks
 * complete: no task becomes ready before all that are outstanding have completed, and no limit holds any back then.
 */
export function lookAhead(state: WorkflowState): Ahead {
  // Each thing that is undone is a decision of its own.
  if (state.compensation) return { quiet: 0, waves: [] };
  const course = new Course(state);
  const { quiet } = course;
  const waves: Wave[] = [];
  let tasks = 0;
  while (waves.length < maxWaves && course.isOneStep) {
    const next = course.complete();
    tasks += next.length;
    if (tasks > maxTasksAhead || !isFree(state, next)) break;
    waves.push({ dispatches: next.map(firstDispatch), quiet: course.quiet });
  }
  return { quiet, waves };
}

/** The workflow as it will be when all goes as planned: some tasks run, the others wait. */
class Course {
  readonly #openInPhase: number[];
  readonly #isOpen = new Set<string>();
  #running = new Set<string>();
  #runningInPhase = new Map<number, number>();
  #waiting: TaskState[] = [];
  /** How many of those that run must complete before the first of the others is ready. */
  #leastNeeds = Infinity;

  constructor({ phases, tasks, endedAt }: WorkflowState) {
    this.#openInPhase = phases.map(({ open }) => open);
    const open = endedAt === undefined ? [...tasks.values()].filter(({ stage }) => !isSettled(stage)) : [];
    for (const { id } of open) this.#isOpen.add(id);
    this.#waiting = open;
    this.#run(open.filter(({ stage }) => isOutstanding(stage)));
  }

  /** How many of those that run may complete, in any order, before another is ready or all are done. */
  get quiet(): number {
    return Math.max(0, Math.min(this.#leastNeeds, this.#running.size) - 1);
  }

  /** Whether others become ready only once all that run have completed. */
  get isOneStep(): boolean {
    return this.#running.size > 0 && this.#leastNeeds === this.#running.size;
  }

  /** All that run complete. Those that are ready then run, and are the answer. */
  complete(): TaskState[] {
    for (const id of this.#running) this.#isOpen.delete(id);
    for (const [phase, count] of this.#runningInPhase) {
      this.#openInPhase[phase] = (this.#openInPhase[phase] ?? 0) - count;
    }
    this.#run([]);
    const ready = this.#waiting.filter((task) => this.#needsToComplete(task) === 0);
    this.#run(ready);
    return ready;
  }

  #run(tasks: readonly TaskState[]): void {
    this.#running = new Set(tasks.map(({ id }) => id));
    this.#runningInPhase = new Map();
    for (const { phase } of tasks) this.#runningInPhase.set(phase, (this.#runningInPhase.get(phase) ?? 0) + 1);
    this.#waiting = this.#waiting.filter(({ id }) => !this.#running.has(id));
    this.#leastNeeds = this.#waiting.reduce((least, task) => Math.min(least, this.#needsToComplete(task)), Infinity);
  }

  /** How many that run a task waits for; Infinity while it waits for one that does not run either. */
  #needsToComplete({ needs }: TaskState): number {
    const inPhase = needs.phase === undefined ? 0 : (this.#openInPhase[needs.phase] ?? 0);
    if (needs.phase !== undefined && inPhase > (this.#runningInPhase.get(needs.phase) ?? 0)) return Infinity;
    const open = needs.tasks.filter((id) => this.#isOpen.has(id));
    return open.every((id) => this.#running.has(id)) ? inPhase + open.length : Infinity;
  }
}

/** Whether these may all be dispatched at once, each for the first time. */
function isFree({ concurrency, phases }: WorkflowState, tasks: readonly TaskState[]): boolean {
  if (tasks.length === 0 || tasks.length > concurrency) return false;
  const inPhase = Map.groupBy(tasks, ({ phase }) => phase);
  return (
    tasks.every(
      ({ stage, attempt, dispatch }) =>
        stage.kind === "pending" && stage.notBefore === undefined && attempt === 1 && dispatch === 0,
    ) && [...inPhase].every(([phase, { length }]) => length <= (phases[phase]?.request.concurrency ?? Infinity))
  );
}

function firstDispatch({ id, agent, priority }: TaskState): Dispatch {
  return { taskId: id, agent, attempt: 1, dispatch: 1, priority, deaths: 0 };
}
