import type { Tracer } from "@flotilla/runtime";
import { type Json, TaskError } from "@flotilla/workflow";
import type { ToolSet } from "ai";
import { classify } from "./classify.ts";
import { type EffectCall, NotAppliedError } from "./effect.ts";
import { effectOf, type ToolEffect } from "./effect-tool.ts";
import type { Effects, EffectStep } from "./effects.ts";
import type { Guard } from "./guard.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { Steps } from "./steps.ts";
import { tracedTool } from "./tracing.ts";
import type { Waits } from "./waits.ts";

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
export function durableTools(
  tools: ToolSet,
  {
    steps,
    effects,
    waits,
    guard,
    loops,
    tracer,
  }: { steps: Steps; effects: Effects; waits: Waits; guard: Guard; loops: LoopGuard; tracer: Tracer },
  key: string,
  fail: (error: unknown) => void,
): ToolSet {
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
      const effect = effectOf(tool);
      const call: typeof execute = async (input, options) => {
        const step = steps.keyFor(`${key}/tool/${options.toolCallId}`);
        // Arguments of a call are parsed from JSON.
        const given = { tool: name, input: input as Json };
        try {
          loops.pass(name, given.input);
        } catch (error) {
          fail(error);
          throw error;
        }
        const around = <T extends object>(work: () => Promise<T>) =>
          guard.tool(name, () => tracedTool(tracer, { name, callId: options.toolCallId, input }, work));
        const running = effect
          ? approved(effect, { step, tool: name, input: given }, waits).then((call) =>
              effects.run(effectStep(effect, call, around)),
            )
          : steps.run(step, given, (signal) =>
              around(() => recordCall(() => execute(input, { ...options, abortSignal: signal }))),
            );
        const record = await running.catch((error: unknown) => {
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

/** A call of an effect tool, and its place in the journal. */
interface PlacedCall {
  step: string;
  tool: string;
  input: { tool: string; input: Json };
}

/** The call as a person lets it pass, where one is to be asked. */
async function approved(
  { question, accept }: Pick<ToolEffect, "question" | "accept">,
  call: PlacedCall,
  waits: Waits,
): Promise<PlacedCall> {
  if (!question) return call;
  const { step, tool, input: given } = call;
  const allowed = await waits.approve({ step: `${step}/approval`, action: tool }, given.input, question(given.input));
  return allowed === given.input ? call : { ...call, input: { ...given, input: accept(allowed) } };
}

/** A call of a tool as an effect, whose result is what the model is told. */
function effectStep(
  { class: kind, execute, query }: ToolEffect,
  { step, tool, input }: PlacedCall,
  around: <T extends object>(work: () => Promise<T>) => Promise<T>,
): EffectStep<ToolRecord> {
  const run = (call: EffectCall) => around(() => recordEffect(() => execute(input.input, call), kind));
  const attested = (word: Json): ToolRecord => ({ output: word });
  if (kind !== "queryable") return { step, tool, input, effect: { class: kind }, run, attested };
  return {
    step,
    tool,
    input,
    run,
    attested,
    effect: {
      class: kind,
      async query(call) {
        const answer = await query(input.input, call);
        return answer.happened ? { happened: true, result: { output: answer.result } } : answer;
      },
    },
  };
}

/** As `recordCall`; of an unsafe effect only a `NotAppliedError` is an answer, for any other leaves it in doubt. */
async function recordEffect(call: () => Promise<Json>, kind: ToolEffect["class"]): Promise<ToolRecord> {
  try {
    return { output: await call() };
  } catch (error) {
    if (kind === "unsafe" && !(error instanceof NotAppliedError)) throw error;
    return refusalOf(error);
  }
}

async function recordCall(call: () => unknown): Promise<ToolRecord> {
  try {
    const result = call();
    // A step keeps what JSON keeps of a result, whatever its type says.
    return { output: (isAsyncIterable(result) ? await lastOf(result) : await result) as Json };
  } catch (error) {
    return refusalOf(error);
  }
}

/** What the model is told of a failure that it may act upon; any other is thrown on. */
function refusalOf(error: unknown): ToolRecord {
  const failure = classify(error);
  if (failure.class !== "data") throw error;
  return { refused: failure.message };
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
