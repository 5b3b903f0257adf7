import { type Json, TaskError } from "@flotilla/workflow";
import type { Tool } from "ai";
import { z } from "zod";
import type { EffectCall, QueryAnswer } from "./effect.ts";
import type { ApprovalQuestion } from "./waits.ts";

const declared = Symbol("effect");

/** How a tool changes the world outside. */
export type ToolEffect = {
  execute(input: unknown, call: EffectCall): Promise<Json>;
  /** What a person is asked before a call; undefined where nobody is. */
  question?(input: unknown): ApprovalQuestion;
  /** The arguments as the tool takes them. Throws `TaskError` of class `data` where it does not. */
  accept(input: Json): Json;
} & (
  | { class: "idempotent" | "unsafe"; query?: never }
  | { class: "queryable"; query(input: unknown, call: EffectCall): Promise<QueryAnswer<Json>> }
);

/** What an effect tool is made of. */
export type EffectToolSpec<I> = {
  description: string;
  inputSchema: z.ZodType<I>;
  execute(input: I, call: EffectCall): Promise<Json>;
  /** With it, no call is made before a person has approved it; see `AgentContext.approve`. */
  approval?(input: I): ApprovalQuestion;
} & (
  | { effect: "idempotent" | "unsafe" }
  | { effect: "queryable"; query(input: I, call: EffectCall): Promise<QueryAnswer<Json>> }
);

/**
 * A tool that changes the world outside. Each call of it is an effect of that class with a key of its own, which it is
 * given as `call.key`; see `AgentContext.effect`.
 */
export function effectTool<I>(spec: EffectToolSpec<I>): Tool<I, Json> {
  const { description, inputSchema, approval } = spec;
  // The SDK has parsed the arguments by `inputSchema` before they come here.
  const execute = (input: unknown, call: EffectCall) => spec.execute(input as I, call);
  const asked = approval && { question: (input: unknown) => approval(input as I) };
  const accept = (input: Json) => acceptEdit(inputSchema, input);
  const effect: ToolEffect =
    spec.effect === "queryable"
      ? { class: spec.effect, execute, accept, ...asked, query: (input, call) => spec.query(input as I, call) }
      : { class: spec.effect, execute, accept, ...asked };
  const tool: Tool<I, Json> = {
    description,
    inputSchema,
    execute: () => Promise.reject(new Error("an effect tool runs only where its effect is on record")),
  };
  return Object.assign(tool, { [declared]: effect });
}

/** What a person put in place of the arguments of a call. */
function acceptEdit(schema: z.ZodType, input: Json): Json {
  const parsed = schema.safeParse(input);
  // It was JSON, and a schema of arguments gives no more than that.
  if (parsed.success) return parsed.data as Json;
  const message = z.prettifyError(parsed.error);
  throw new TaskError({ class: "data", code: "invalid-edit", message }, { cause: parsed.error });
}

/** The effect that a tool was declared with; undefined for a plain one. */
export function effectOf(tool: object): ToolEffect | undefined {
  // Only `effectTool` knows the symbol.
  return declared in tool ? (tool[declared] as ToolEffect) : undefined;
}
