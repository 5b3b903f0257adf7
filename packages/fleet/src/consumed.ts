import { flotillaAttributes, type Span, spanAttributes, type Tracer } from "@flotilla/runtime";
import type { Job } from "bullmq";
import type { AdmissionJob, TaskJob } from "./queues.ts";

/** Works on a job of a queue, in a span that goes on from who added it; untraced where that was not traced. */
export function consumed<T>(
  tracer: Tracer,
  { id, data, queueName, timestamp }: Job<TaskJob | AdmissionJob>,
  traceparent: string | undefined,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const attributes = {
    [spanAttributes.messagingSystem]: "bullmq",
    [spanAttributes.messagingOperation]: "process",
    [spanAttributes.messagingDestination]: queueName,
    [spanAttributes.messageId]: id,
    [flotillaAttributes.workflow]: data.workflowId,
    // By two clocks; who has added the job may be another machine.
    [flotillaAttributes.queuedMs]: Math.max(0, Date.now() - timestamp),
  };
  return tracer.resume(traceparent, `process ${queueName}`, { kind: "consumer", attributes }, work);
}
