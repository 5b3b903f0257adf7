import type { Artifact, Json, PhaseRequest, Revision } from "@flotilla/workflow";
import type { ToolSet } from "ai";
import type { z } from "zod";
import type { Effect, EffectCall } from "./effect.ts";
import type { SharedState } from "./shared-state.ts";
import type { ApprovalQuestion } from "./waits.ts";

/** What a model is asked to do. */
export interface Generation<T> {
  system: string;
  prompt: string;
  /** Named shape of the answer; the model answers text when there is none. */
  answer?: { name: string; schema: z.ZodType<T> };
  /** Those of the agent's own tools that are offered here; all of them unless given, none with `{}`. */
  tools?: ToolSet;
  /** Most model calls in the tool-calling loop; 16 by default. */
  maxTurns?: number;
}

/** All that an agent may touch while it runs one task. */
export interface AgentContext {
  readonly tenant: string;
  readonly workflowId: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly claim: number;
  readonly epoch: number;
  /** Aborted when the task is cancelled, superseded, timed out or handed back. */
  readonly signal: AbortSignal;
  /**
   * What was wrong with the phases that this task appended before, where it is to make them anew; models are told by
   * themselves. A step or an effect with the very input that it had before is replayed, with any other it runs anew.
   */
  readonly revision: Revision | undefined;
  /**
   * Runs `fn` once and records its result; every later claim or attempt replays the record and does not run it.
   * A replay with another `input` fails the task as `nondeterministic`. Steps of one name are numbered in the order of
   * the calls, so steps that run at the same time want names of their own. The result is what JSON keeps of it.
   */
  step<T extends Json>(name: string, input: Json, fn: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /**
   * As `step`, for what changes the world outside. An intent is on record before `fn` runs, and where a later claim or
   * attempt finds one without a result, the class of the effect decides: it runs again with the same key, it is asked
   * whether it happened, or the task waits for a person, who may also give its result (`null` if they give none).
   * An error of an `unsafe` effect leaves it in doubt at once, unless it is a `NotAppliedError`.
   */
  effect<T extends Json>(
    name: string,
    input: Json,
    effect: Effect<T>,
    fn: (call: EffectCall) => Promise<T>,
  ): Promise<T>;
  /**
   * Asks a person whether what comes next may be done, and gives what it may be done with: `given`, which they are shown
   * whole (at most 32 KB of JSON), or what they put in its place. The task waits without a worker, for days if need be,
   * and then runs again from its first step; once given, the word holds for every later claim and attempt, and for these
   * very arguments alone. A person who denies it, or says nothing in time, fails the task.
   */
  approve(name: string, given: Json, question: ApprovalQuestion): Promise<Json>;
  /**
   * Waits for a signal of that name to the workflow (`POST /v1/workflows/:id/signals`), and gives its data, `null` where
   * it has none. The task waits without a worker, for days if need be, and then runs again from its first step. The nth
   * wait of a task for a name gets the nth signal of that name, whether it came before or comes after.
   */
  awaitSignal(name: string): Promise<Json>;
  /**
   * Hands a piece of work to an agent of another type, and gives what that makes of it. `payload` is its input, at most
   * 64 KB of JSON. The supervisor lets it pass or refuses it; the other agent runs as a task of its own, with no more
   * permissions than this one, 5 minutes a try and 3 more tries. Meanwhile this task waits without a worker, and then runs
   * again from its first step. Throws `TaskError` with what went wrong, which may be handled.
   */
  handoff(to: string, payload: Json): Promise<Json>;
  /** Values that all agents of the workflow share, each with a version, for it may change under one's hands. */
  readonly state: SharedState;
  /**
   * The tool-calling loop: each model call and each tool call is a durable step. A tool that throws a `TaskError` of
   * class `data` tells the model so; whatever else it throws fails the task as it would outside of a tool.
   */
  generate<T = string>(generation: Generation<T>): Promise<T>;
  /**
   * Keeps a file of the workflow, to be had at `GET /v1/workflows/:id/artifacts/<name>`. Durable once it resolves, and
   * a durable step: what was written first under a name stands in every replay.
   */
  writeArtifact(name: string, content: string, contentType: string): Promise<Artifact>;
  /** A word to whoever watches; costs one write. */
  progress(message: string): Promise<void>;
  /** Which model answers, as reports name it. */
  readonly modelName: string;
}

/** One kind of agent: what it takes, what it gives, what it may use, and what it does. */
export interface Agent<I = unknown, O = unknown> {
  /** Names the queue `agent.<type>` too. */
  type: string;
  description: string;
  input: z.ZodType<I>;
  output: z.ZodType<O>;
  /**
   * The tools its models are offered; others cannot be called. May look at `ctx` only when a tool runs. A tool that
   * changes the world outside is an `effectTool`; any other may run again at any time.
   */
  tools?: (ctx: AgentContext) => ToolSet;
  /** Whether its result may append phases to the plan. */
  mayPlan?: boolean;
  run(ctx: AgentContext, input: I): Promise<AgentResult<O>>;
}

/** What an agent gives back when its task is done. */
export interface AgentResult<O> {
  output: O;
  /** Phases to run after the last one; only for agents that may plan. */
  append?: PhaseRequest[];
}

/** Types an agent module without widening it. */
export function defineAgent<I, O>(agent: Agent<I, O>): Agent<I, O> {
  return agent;
}
