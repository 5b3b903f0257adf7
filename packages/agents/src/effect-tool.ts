import type { Json } from "@flotilla/workflow";
import type { Tool } from "ai";
import type { z } from "zod";
import type { EffectCall, QueryAnswer } from "./effect.ts";

const declared = Symbol("effect");

/** How a tool changes the world outside. */
export type ToolEffect = { execute(input: unknown, call: EffectCall): Promise<Json> } & (
  | { class: "idempotent" | "unsafe"; query?: never }
  | { class: "queryable"; query(input: unknown, call: EffectCall): Promise<QueryAnswer<Json>> }
);

/** What an effect tool is made of. */
export type EffectToolSpec<I> = {
  description: string;
  inputSchema: z.ZodType<I>;
  execute(input: I, call: EffectCall): Promise<Json>;
} & (
  | { effect: "idempotent" | "unsafe" }
  | { effect: "queryable"; query(input: I, call: EffectCall): Promise<QueryAnswer<Json>> }
);

/**
 * A tool that changes the world outside. Each call of it is an effect of that class with a key of its own, which it is
 * given as `call.key`; see `AgentContext.effect`.
 */
export function effectTool<I>(spec: EffectToolSpec<I>): Tool<I, Json> {
  const { description, inputSchema } = spec;
  // The SDK has parsed the arguments by `inputSchema` before they come here.
  const execute = (input: unknown, call: EffectCall) => spec.execute(input as I, call);
  const effect: ToolEffect =
    spec.effect === "queryable"
      ? { class: spec.effect, execute, query: (input, call) => spec.query(input as I, call) }
      : { class: spec.effect, execute };
  const tool: Tool<I, Json> = {
    description,
    inputSchema,
    execute: () => Promise.reject(new Error("an effect tool runs only where its effect is on record")),
  };
  return Object.assign(tool, { [declared]: effect });
}

/** The effect that a tool was declared with; undefined for a plain one. */
export function effectOf(tool: object): ToolEffect | undefined {
  // Only `effectTool` knows the symbol.
  return declared in tool ? (tool[declared] as ToolEffect) : undefined;
}
