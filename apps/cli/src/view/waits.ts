import type { AgentView, TaskView, WorkflowView } from "@flotilla/workflow";

/** What a person would want to hear of while it lasts: nothing goes on, and the log does not say so. */
const notable: ReadonlySet<string> = new Set<NonNullable<TaskView["waitingFor"]>["reason"]>([
  "worker",
  "paused",
  "lease",
  "circuit-open",
  "provider-limit",
  "budget",
]);

/** A wait that is over within this time is not worth a line, in ms. */
const briefMs = 3000;

/** What a task waits for, in words; undefined where it does not wait. */
export function waitWords(task: TaskView, workflow: WorkflowView, agents: readonly AgentView[]): string | undefined {
  const { waitingFor, agent } = task;
  if (!waitingFor) return undefined;
  const { reason, since, until, item, of } = waitingFor;
  const till = until === undefined ? "" : `, until ${until}`;
  switch (reason) {
    case "dependency":
      return `waits for ${dependenciesOf(task, workflow)}`;
    case "concurrency":
      return workflow.status === "queued"
        ? "waits until the fleet has room for another workflow"
        : "waits for its turn: as many tasks run as may at once";
    case "schedule":
      return `waits for its time, ${until}`;
    case "retry-backoff":
      return until === undefined ? "waits for its next try" : `waits for its next try, at ${until}`;
    case "worker":
      return `waits for ${withArticle(agent)} worker: ${workersOf(agents.find(({ type }) => type === agent))}`;
    case "paused":
      return `waits while ${agent} is paused, since ${since}: \`flotilla resume ${agent}\` lets it go on`;
    case "lease":
      return `its worker is silent since ${since}; another one gets it after ${until}`;
    case "person":
      return `waits for a person${till}: \`flotilla inbox\` shows ${item}`;
    case "signal":
      return "waits for a signal: `flotilla signal` sends one";
    case "handoff":
      return "waits for what it has handed over";
    case "provider-limit":
      return `waits for the next minute of ${of}, whose limit is reached: it goes on at ${until}`;
    case "budget":
      return `waits for what other calls have set apart of the budget: it goes on at ${until}`;
    case "circuit-open":
      return `waits while ${of} keeps failing: it is tried again at ${until}`;
  }
}

/** The waits of a workflow that a person is to hear of, by task. */
export function notableWaits(workflow: WorkflowView, agents: readonly AgentView[], now: number): Map<string, string> {
  const waits = new Map<string, string>();
  for (const task of workflow.tasks) {
    const { waitingFor } = task;
    if (!waitingFor || !notable.has(waitingFor.reason) || now - Date.parse(waitingFor.since) < briefMs) continue;
    const words = waitWords(task, workflow, agents);
    if (words !== undefined) waits.set(task.id, words);
  }
  return waits;
}

function dependenciesOf({ id, phase, dependsOn }: TaskView, { tasks, plan }: WorkflowView): string {
  if (dependsOn.length === 0) return "what comes before it";
  const open = tasks.filter((task) => dependsOn.includes(task.id) && task.endedAt === undefined);
  const names = open.map((task) => task.id);
  // One that comes to its end between two looks at it.
  if (names.length === 0 || plan === null) return `what comes before ${phase}/${id}`;
  return names.length > 3 ? `${names.length} tasks: ${names.slice(0, 3).join(", ")} and others` : names.join(", ");
}

function workersOf(agent: AgentView | undefined): string {
  if (!agent) return "none has ever registered";
  const { workers, knownWorkers, backlog } = agent;
  const live = `${workers} of ${knownWorkers} live`;
  return workers === 0 ? live : `${live}, ${backlog} tasks waiting or running`;
}

function withArticle(word: string): string {
  return `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;
}
