import { hash } from "node:crypto";
import type { CallbackRules } from "@flotilla/runtime";
import {
  type DeadLetter,
  type DeadLetters,
  type ReceivedMessage,
  WorkflowRequest,
  type WorkflowStore,
} from "@flotilla/workflow";
import type { RecentAgents } from "../agent-catalog.ts";
import { parseJson } from "../json-body.ts";
import { parse } from "../parse.ts";
import { Problem } from "../problem.ts";
import { refuseWhatCannotRun, required } from "../routes/workflows.ts";

/** How much of a message that was refused is kept, and of what is wrong with it. */
const keptBytes = 2048;
const keptErrors = 10;

/** What the messages of one stream are made into workflows with. */
export interface MessageDeps {
  tenant: string;
  streamId: string;
  store: Pick<WorkflowStore, "submit">;
  agents: RecentAgents;
  callbacks: CallbackRules | undefined;
  deadLetters: Pick<DeadLetters, "add">;
}

/** What became of a message. `repeated`: it was stored before, when it came for the first time. */
export type MessageOutcome = "stored" | "repeated" | "dead";

/** Whether the request was refused for an agent type that is unknown; one that has lost its registry may be again known soon. */
export function isUnknownAgent(error: unknown): boolean {
  return error instanceof Problem && error.errors.some(({ code }) => code === "unknown-agent");
}

/**
 * Stores a message as the workflow that the API would make of it, with its place in the stream as the idempotency key.
 * Throws the `Problem` that the API would answer with; `StoreUnavailableError` says that it may be said again.
 */
export async function submitMessage(deps: MessageDeps, message: ReceivedMessage): Promise<MessageOutcome> {
  const { tenant, streamId, store } = deps;
  const body = Buffer.from(message.value);
  const request = parse(WorkflowRequest, required(body.length === 0 ? undefined : parseJson(body)));
  await refuseWhatCannotRun(request, deps);
  // No client can give this key: theirs have no line feed.
  const key = `intake\n${streamId}\n${message.partition}\n${message.offset}`;
  const outcome = await store.submit(tenant, request, { key, bodyHash: hash("sha256", body) });
  if (outcome.kind === "conflict") {
    throw new Problem("idempotency-conflict", `another message was at this place and made ${outcome.id}`);
  }
  return outcome.kind;
}

/** Notes a message that was refused. */
export async function bury(deps: MessageDeps, message: ReceivedMessage, problem: Problem): Promise<void> {
  const { partition, offset, value } = message;
  const letter: DeadLetter = {
    stream: deps.streamId,
    partition,
    offset,
    tenant: deps.tenant,
    at: new Date().toISOString(),
    code: problem.code,
    detail: problem.message,
    errors: problem.errors.slice(0, keptErrors).map(({ path, code, message: text }) => ({ path, code, message: text })),
    bytes: value.byteLength,
    text: Buffer.from(value).subarray(0, keptBytes).toString("utf8"),
  };
  await deps.deadLetters.add(letter);
}
