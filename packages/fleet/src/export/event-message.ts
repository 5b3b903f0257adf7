import { maxMessageBytes, type StreamMessage } from "@flotilla/workflow";
import { eventOf, type Line } from "../log.ts";

/** Whose events they are. */
export interface Exported {
  id: string;
  tenant: string;
  /** How often it was put back from the archive, from 1: lines of a later one replace those of an earlier one. */
  incarnation: number;
}

/**
 * The message of an event: the key is the id of its workflow, the value is the event as the API gives it (JSON), with
 * `workflowId`, `tenant` and `incarnation`. Where the data of the event is too much for one message, `omittedBytes` says
 * in its place how large it is; the API has it.
 */
export function messageOf({ id, tenant, incarnation }: Exported, line: Line): StreamMessage {
  const { seq, at, ...body } = eventOf(line);
  const head = { workflowId: id, tenant, incarnation, seq, at: new Date(at).toISOString() };
  const value = Buffer.from(JSON.stringify({ ...head, ...body }));
  if (value.byteLength + Buffer.byteLength(id) <= maxMessageBytes) return { key: id, value };
  const omittedBytes = Buffer.byteLength(JSON.stringify(body.data));
  return { key: id, value: Buffer.from(JSON.stringify({ ...head, ...body, data: undefined, omittedBytes })) };
}
