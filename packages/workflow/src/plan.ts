import type { AgentDescriptor } from "./ports.ts";
import { type Issue, jsonPointer } from "./issue.ts";
import { maxTasks, type PhaseRequest, type TaskRequest } from "./request.ts";
import { findTemplates } from "./template.ts";

/** What plan rules need to know of the agent types there are. */
export type AgentCatalog = ReadonlyMap<
  string,
  Pick<AgentDescriptor, "mayPlan"> & Partial<Pick<AgentDescriptor, "input" | "tools">>
>;

/** What must be settled before a task may run: exactly `tasks`, and all tasks of phase number `phase` if there is one. */
export interface Needs {
  tasks: readonly string[];
  phase: number | undefined;
}

/** The needs of a task that may run at once. */
export const needsNothing: Needs = { tasks: [], phase: undefined };

/** The needs of a task at place `index` of phase number `phase`; see "Plan" in the contract. */
export function needsOf(phases: readonly PhaseRequest[], phase: number, index: number): Needs {
  const inPhase = phases[phase];
  const task = inPhase?.tasks[index];
  // Named twice, it is still one task to wait for: what counts open needs counts each once.
  if (task?.dependsOn) return { tasks: [...new Set(task.dependsOn)], phase: undefined };
  const before = inPhase?.parallel ? undefined : inPhase?.tasks[index - 1];
  return { tasks: before ? [before.id] : [], phase: phase > 0 ? phase - 1 : undefined };
}

interface Placed {
  task: TaskRequest;
  needs: Needs;
  path: PropertyKey[];
  isNew: boolean;
}

/**
 * Everything that is wrong with `phases`, at JSON pointers below `at`. `before` are the phases that the plan has
 * already; they are taken as right, and the new ones may depend on their tasks.
 */
export function planIssues(
  phases: readonly PhaseRequest[],
  agents: AgentCatalog,
  at: readonly PropertyKey[] = ["plan", "phases"],
  before: readonly PhaseRequest[] = [],
): Issue[] {
  const issues: Issue[] = [];
  const report = (path: readonly PropertyKey[], code: string, message: string) =>
    issues.push({ path: jsonPointer(path), code, message });

  const all = [...before, ...phases];
  const placed = new Map<string, Placed>();
  const everyTask: Placed[] = [];
  all.forEach((phase, p) =>
    phase.tasks.forEach((task, t) => {
      const path = [...at, p - before.length, "tasks", t];
      const here = { task, needs: needsOf(all, p, t), path, isNew: p >= before.length };
      everyTask.push(here);
      if (placed.has(task.id)) report([...path, "id"], "duplicate-task", `task ${task.id} is in the plan twice`);
      else placed.set(task.id, here);
    }),
  );
  if (everyTask.length > maxTasks) {
    report(at, "too-many-tasks", `${everyTask.length} tasks are more than ${maxTasks}`);
    return issues;
  }

  const graph = new DependencyGraph(all, placed);
  for (const { task, path, isNew } of everyTask) {
    if (!isNew) continue;
    if (!agents.has(task.agent)) {
      report([...path, "agent"], "unknown-agent", `no agent of type ${task.agent} is known`);
    }
    if (task.fallback !== undefined && !agents.has(task.fallback)) {
      report([...path, "fallback"], "unknown-agent", `no agent of type ${task.fallback} is known`);
    }
    task.dependsOn?.forEach((id, d) => {
      if (!placed.has(id)) report([...path, "dependsOn", d], "unknown-dependency", `task ${id} is not in the plan`);
    });
    if (task.compensate && !agents.has(task.compensate.agent)) {
      report([...path, "compensate", "agent"], "unknown-agent", `no agent of type ${task.compensate.agent} is known`);
    }
    const own = findTemplates(task.input).map((found) => ({ ...found, at: ["input"], knows: "" }));
    const undoing = task.compensate ? findTemplates(task.compensate.input) : [];
    // What undoes a task knows what it gave.
    const templates = [...own, ...undoing.map((found) => ({ ...found, at: ["compensate", "input"], knows: task.id }))];
    const upstream = templates.some(({ ref }) => ref?.kind === "task") ? graph.upstream(task.id) : () => false;
    for (const { path: inside, text, ref, at: field, knows } of templates) {
      const where = [...path, ...field, ...inside];
      const waitsFor = (id: string) => id === knows || upstream(id);
      if (!ref) {
        report(where, "unresolvable-template", `${text} is neither {{tasks.<id>.output…}} nor {{input…}}`);
      } else if (ref.kind === "task" && !placed.has(ref.taskId)) {
        report(where, "unresolvable-template", `${text} names task ${ref.taskId}, which is not in the plan`);
      } else if (ref.kind === "task" && !waitsFor(ref.taskId)) {
        report(where, "unresolvable-template", `${text} names task ${ref.taskId}, on which ${task.id} does not depend`);
      }
    }
  }
  const cycle = graph.findCycle();
  const onCycle = cycle?.map((id) => placed.get(id)).find((found) => found?.isNew && found.task.dependsOn);
  if (cycle && onCycle) {
    report([...onCycle.path, "dependsOn"], "cyclic-dependency", `tasks wait for each other: ${cycle.join(" → ")}`);
  }
  return issues;
}

/**
 * Tasks and what they need. A whole phase is one node, so that two phases of 1,000 tasks are 2,000 edges and not a
 * million. Nodes are numbers, phases first: a walk by ids took 3 s for the worst plan that fits into a request.
 */
class DependencyGraph {
  readonly #ids: readonly string[];
  readonly #phases: number;
  readonly #nodes: ReadonlyMap<string, number>;
  readonly #edges: readonly (readonly number[])[];

  constructor(phases: readonly PhaseRequest[], placed: ReadonlyMap<string, Placed>) {
    this.#ids = [...placed.keys()];
    this.#phases = phases.length;
    this.#nodes = new Map(this.#ids.map((id, place) => [id, phases.length + place]));
    const nodesOf = (ids: readonly string[]) => ids.flatMap((id) => this.#nodes.get(id) ?? []);
    this.#edges = [
      ...phases.map((phase) => nodesOf(phase.tasks.map((task) => task.id))),
      ...Array.from(placed.values(), ({ needs: { tasks, phase } }) =>
        phase === undefined ? nodesOf(tasks) : [...nodesOf(tasks), phase],
      ),
    ];
  }

  /** Tells which tasks must be settled before `id`, directly or not. */
  upstream(id: string): (other: string) => boolean {
    const seen = new Uint8Array(this.#edges.length);
    const open = [this.#nodes.get(id) ?? -1];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      for (const next of this.#edges[node] ?? []) {
        if (seen[next] === 1) continue;
        seen[next] = 1;
        open.push(next);
      }
    }
    return (other) => seen[this.#nodes.get(other) ?? -1] === 1;
  }

  /** The tasks of one cycle, the first repeated at the end; undefined when there is none. */
  findCycle(): string[] | undefined {
    const done = new Set<number>();
    for (const start of this.#edges.keys()) {
      const path: { node: number; next: number }[] = [{ node: start, next: 0 }];
      const onPath = new Set([start]);
      while (path.length > 0) {
        const top = path.at(-1);
        if (!top) break;
        const child = done.has(top.node) ? undefined : this.#edges[top.node]?.[top.next++];
        if (child === undefined) {
          done.add(top.node);
          onPath.delete(top.node);
          path.pop();
        } else if (onPath.has(child)) {
          const nodes = path.map(({ node }) => node);
          const cycle = nodes.slice(nodes.indexOf(child)).flatMap((node) => this.#ids[node - this.#phases] ?? []);
          return [...cycle, ...cycle.slice(0, 1)];
        } else if (!done.has(child)) {
          path.push({ node: child, next: 0 });
          onPath.add(child);
        }
      }
    }
    return undefined;
  }
}
