import {
  FailedStatus,
  type FailureQuery,
  type FailureView,
  projectFailure,
  type WorkflowState,
  type WorkflowStore,
} from "@flotilla/workflow";
import { eventOf, type Line } from "./log.ts";

/** Lines at the end of a log among which those of the task that failed are looked for. */
const lastLines = 100;

/** One page of what failed; without `cursor` it is the last. */
export interface FailurePage {
  failures: FailureView[];
  cursor?: string;
}

/** What is read of the workflows of one tenant. */
interface Reading {
  list: WorkflowStore["list"];
  state(id: string): Promise<WorkflowState | undefined>;
  lines(id: string, from: number): Promise<readonly Line[]>;
}

/** A page of the workflows that failed or were aborted, each with its context; undefined where the cursor is not one of ours. */
export async function listFailures(
  { list, state, lines }: Reading,
  { status, ...query }: FailureQuery,
): Promise<FailurePage | undefined> {
  const page = await list({ ...query, status: status ?? FailedStatus.options });
  if (!page) return undefined;
  const failures: FailureView[] = [];
  // One after the other: whole logs are read, and together they would be one long call.
  for (const { id } of page.workflows) {
    const folded = await state(id);
    if (!folded) continue;
    const last = await lines(id, Math.max(1, folded.seq - lastLines));
    // One that was retried since it was listed has not failed.
    const failure = projectFailure(folded, last.map(eventOf));
    if (failure) failures.push(failure);
  }
  return { failures, ...(page.cursor !== undefined && { cursor: page.cursor }) };
}
