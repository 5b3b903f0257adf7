import { type Dispatch, Priority, schedulingOf, type Wave } from "@flotilla/workflow";

/** A wave as the scripts hold it, with the event that schedules it; lua/prelude.lua explains the text. */
export function waveText({ dispatches, quiet }: Wave, isFollowed: boolean): string {
  const tasks = dispatches.map(({ taskId, agent, priority }) => `${taskId}:${agent}:${priority}`);
  return `${quiet} ${isFollowed ? 1 : 0} ${tasks.join(",")} ${JSON.stringify(schedulingOf(dispatches))}`;
}

/** The dispatches of a wave that was just scheduled, each the first of its task; none where there was no wave. */
export function waveDispatches(tasks: string): Dispatch[] {
  if (tasks === "") return [];
  return tasks.split(",").map((text) => {
    const [taskId = "", agent = "", priority] = text.split(":");
    return { taskId, agent, attempt: 1, dispatch: 1, priority: Priority.parse(priority), deaths: 0 };
  });
}
