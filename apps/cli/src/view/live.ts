import { styleText } from "node:util";
import type { Progress, TaskProgress } from "./progress.ts";

/** More tasks of one phase than this are counted, not listed. */
const listedTasks = 8;

const signs = {
  pending: "·",
  queued: "○",
  running: "●",
  waiting: "?",
  retrying: "↻",
  completed: "✔",
  failed: "✘",
  cancelled: "–",
} as const satisfies Record<TaskProgress["state"], string>;

/** The lines of the live view at that moment, none wider than `columns`. */
export function renderLive(progress: Progress, now: number, columns: number): string[] {
  const tasks = progress.phases.flatMap((phase) => phase.tasks);
  const busy = new Set(tasks.filter(({ state }) => state === "running").map(({ worker }) => worker));
  const done = tasks.filter(({ endedAt }) => endedAt !== undefined).length;
  const head = [
    progress.status,
    seconds(now - (progress.startedAt ?? now)),
    `${done} of ${tasks.length} tasks`,
    `${busy.size} ${busy.size === 1 ? "worker" : "workers"} busy`,
  ].join("  ");
  return [
    styleText("bold", head.slice(0, columns)),
    ...progress.phases.flatMap((phase) => phaseLines(phase, now, columns)),
  ];
}

function phaseLines({ name, tasks }: Progress["phases"][number], now: number, columns: number): string[] {
  const listed =
    tasks.length > listedTasks ? tasks.filter(({ state }) => state === "running").slice(0, listedTasks) : tasks;
  const rest = tasks.length - listed.length;
  const restDone = rest === 0 ? 0 : tasks.filter(({ endedAt }) => endedAt !== undefined).length;
  return [
    `  ${name}`.slice(0, columns),
    ...listed.map((task) => taskLine(task, now).slice(0, columns)),
    ...(rest > 0 ? [`    … ${rest} more, ${restDone} done`.slice(0, columns)] : []),
  ];
}

function taskLine(task: TaskProgress, now: number): string {
  const { state, id, agent, worker, message, waits, startedAt, endedAt } = task;
  const elapsed = startedAt === undefined ? "" : seconds((endedAt ?? now) - startedAt);
  const says = state === "running" || state === "failed" || state === "retrying" || state === "waiting";
  const detail = waits === undefined ? [state === "running" && worker, says && message] : [waits];
  const words = [id.padEnd(16), agent.padEnd(10), elapsed.padStart(7), detail.filter(Boolean).join("  ")];
  return `    ${signs[state]} ${words.join(" ")}`.trimEnd();
}

/** A duration as the views show it. */
export function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
}
