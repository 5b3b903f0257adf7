import { z } from "zod";
import { EventView, type WorkflowEvent } from "./event.ts";
import { Failure } from "./failure.ts";
import type { Json } from "./json.ts";
import { Priority } from "./request.ts";
import { requestOf, type WorkflowState } from "./state.ts";

const Time = z.iso.datetime({ precision: 3 });

/** How a workflow can have failed. */
export const FailedStatus = z.enum(["failed", "aborted"]);
export type FailedStatus = z.infer<typeof FailedStatus>;

/** A workflow that failed or was aborted, with what one needs to see why. */
export const FailureView = z.object({
  id: z.string(),
  status: FailedStatus,
  error: Failure.extend({ taskId: z.string().exactOptional() }),
  task: z
    .object({
      id: z.string(),
      phase: z.string(),
      agent: z.string(),
      attempts: z.int().meta({ description: "made in all" }),
      input: z.custom<Json>().meta({ description: "as the plan has it, templates unfilled" }),
    })
    .exactOptional()
    .meta({ description: "whose failure it was; left out where it was none's, as for a deadline of the whole" }),
  events: z.array(EventView).meta({ description: "the last of that task and of the workflow, at most 10" }),
  priority: Priority,
  tags: z.record(z.string(), z.string()),
  createdAt: Time,
  endedAt: Time,
});
export type FailureView = z.infer<typeof FailureView>;

const shownEvents = 10;

/** A workflow as `GET /v1/failures` gives it, from its state and its last lines; undefined for one that has not failed. */
export function projectFailure(state: WorkflowState, lines: readonly WorkflowEvent[]): FailureView | undefined {
  const status = FailedStatus.safeParse(state.status);
  if (!status.success || !state.error || state.endedAt === undefined) return undefined;
  const { error, request } = state;
  const task = state.tasks.get(error.taskId ?? "");
  const events = lines.filter((line) => !("taskId" in line) || task === undefined || line.taskId === task.id);
  return {
    id: state.id,
    status: status.data,
    error,
    ...(task && {
      task: {
        id: task.id,
        phase: state.phases[task.phase]?.request.name ?? "",
        agent: task.agent,
        attempts: task.attempt,
        input: requestOf(state, task.id)?.input ?? task.input,
      },
    }),
    events: events.slice(-shownEvents).map(({ at, ...event }) => ({ ...event, at: new Date(at).toISOString() })),
    priority: request.priority ?? "normal",
    tags: request.tags ?? {},
    createdAt: new Date(state.createdAt).toISOString(),
    endedAt: new Date(state.endedAt).toISOString(),
  };
}
