import { type Json, TaskError } from "@flotilla/workflow";
import type { ToolSet } from "ai";
import { classify } from "./classify.ts";
import type { Steps } from "./steps.ts";

/** What a tool call came to: an answer, or a refusal that the model is told and may act upon. */
type ToolRecord = { output: Json } | { refused: string };

/**
 * The tools of `asked` that `granted` holds, all of `granted` when nothing is asked. Asking for a tool that is not
 * granted is the terminal error `tool-not-granted`.
 */
export function grantTools(asked: ToolSet | undefined, granted: ToolSet): ToolSet {
  for (const name of Object.keys(asked ?? {})) {
    if (Object.hasOwn(granted, name)) continue;
    throw new TaskError({
      class: "critical",
      code: "tool-not-granted",
      message: `the agent does not declare the tool ${name}`,
    });
  }
  return asked ?? granted;
}

/**
 * Makes each call of a tool a durable step under `key` and the recorded id of the call. A failure of class `data` is an
 * answer to the model, and recorded as one; any other is handed to `fail`, which ends the conversation, for trying
 * again is the business of the fleet and not of a model.
 */
export function durableTools(tools: ToolSet, steps: Steps, key: string, fail: (error: unknown) => void): ToolSet {
  return Object.fromEntries(
    Object.entries(tools).map(([name, tool]) => {
      const { execute } = tool;
      if (!execute) {
        throw new TaskError({
          class: "critical",
          code: "tool-not-runnable",
          message: `the tool ${name} has no function`,
        });
      }
      const call: typeof execute = async (input, options) => {
        const callKey = steps.keyFor(`${key}/tool/${options.toolCallId}`);
        // Arguments of a call are parsed from JSON.
        const record = await steps
          .run(callKey, { tool: name, input: input as Json }, (signal) =>
            recordCall(() => execute(input, { ...options, abortSignal: signal })),
          )
          .catch((error: unknown) => {
            fail(error);
            throw error;
          });
        if ("refused" in record) throw new Error(record.refused);
        return record.output;
      };
      return [name, { ...tool, execute: call }];
    }),
  );
}

async function recordCall(call: () => unknown): Promise<ToolRecord> {
  try {
    const result = call();
    // A step keeps what JSON keeps of a result, whatever its type says.
    return { output: (isAsyncIterable(result) ? await lastOf(result) : await result) as Json };
  } catch (error) {
    const failure = classify(error);
    if (failure.class !== "data") throw error;
    return { refused: failure.message };
  }
}

/** A tool may stream what it has so far; the last word is its answer. */
async function lastOf(stream: AsyncIterable<unknown>): Promise<unknown> {
  let last: unknown = null;
  for await (const part of stream) last = part;
  return last;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
