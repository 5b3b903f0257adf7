import type { EventOf } from "./event.ts";
import type { TaskStage, WorkflowState } from "./state.ts";
import type { Gift, SignalWait } from "./wait.ts";

/**
 * What a step that waits for a signal gets, once it has come. A signal is for the whole workflow: the nth wait of any
 * task for a name gets the nth signal of that name, so it matters neither which of the two came first nor how often
 * the task runs.
 */
export function giftOf({ signals }: Pick<WorkflowState, "signals">, awaits: SignalWait): Gift | undefined {
  const signal = signals.get(awaits.signal)?.[awaits.nth - 1];
  return signal === undefined ? undefined : { step: awaits.step, inputHash: awaits.inputHash, given: { signal } };
}

/** Where a task stands that its worker has let go: on its way back, at once or in its time, or waiting for what has not come. */
export function releasedStage(
  state: Pick<WorkflowState, "signals">,
  { at: since, data: { awaits, postponed } }: EventOf<"task.released"> & { at: number },
): TaskStage {
  if (postponed) {
    const { reason, of, forMs } = postponed;
    return { kind: "returned", since, postponed: { reason, of, until: since + forMs } };
  }
  if (!awaits) return { kind: "returned", since };
  const gift = giftOf(state, awaits);
  return gift ? { kind: "returned", since, gift } : { kind: "parked", since, awaits };
}
