import type { EventOf, WorkflowEvent } from "./event.ts";
import { isolationDeaths } from "./failure.ts";
import { type ItemKind, itemSeqOf } from "./item.ts";
import type { TaskStage, TaskState } from "./state.ts";

/** The stage of a task whose item has just been opened, and which was in `stage` before. */
export function waitingFor(
  item: string,
  { at, data }: WorkflowEvent & EventOf<"item.opened">,
  stage: TaskStage | undefined,
): TaskStage {
  const expiry = "expiresInMs" in data ? { expiresAt: at + data.expiresInMs } : {};
  const failure = "error" in data.detail ? { error: data.detail.error } : {};
  const proposal = stage?.kind === "proposing" ? { proposal: { output: stage.output, append: stage.append } } : {};
  return { kind: "waiting", since: at, item, about: data.kind, ...expiry, ...failure, ...proposal };
}

/** Whether a task waits for this item, and nobody has said yet what is to become of it. */
export function isOpen(stage: TaskStage, item: string): stage is Extract<TaskStage, { kind: "waiting" }> {
  if (stage.kind !== "waiting" || stage.verdict !== undefined) return false;
  return itemSeqOf(stage.item) === itemSeqOf(item);
}

/** How a task goes on that a person lets try again: one in quarantine alone, any other with its attempts anew. */
export function againAfter({ attempt }: TaskState, about: ItemKind): Partial<TaskState> {
  const again = { attempt: attempt + 1, dispatch: 0 };
  return about === "quarantine" ? { ...again, deaths: isolationDeaths } : { ...again, firstAttempt: attempt + 1 };
}
