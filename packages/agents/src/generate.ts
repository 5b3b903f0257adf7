import type { Tracer } from "@flotilla/runtime";
import { type Revision, TaskError } from "@flotilla/workflow";
import type { ModelMessage, StepResult, ToolSet } from "ai";
import { z } from "zod";
import type { Generation } from "./agent.ts";
import { durableCalls } from "./durable-model.ts";
import { durableTools, grantTools } from "./durable-tools.ts";
import type { Effects } from "./effects.ts";
import type { Guard } from "./guard.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { Model } from "./models/model.ts";
import type { Purse } from "./purse.ts";
import type { Steps } from "./steps.ts";
import type { Waits } from "./waits.ts";

/** Mistakes that a model may mend in one generation: calls it got wrong, answers that are not of the asked shape. */
const maxRepairs = 2;

const defaultMaxTurns = 16;

/** What a generation needs of the run that it belongs to. */
export interface GenerateDeps {
  model: Model;
  steps: Steps;
  purse: Purse;
  effects: Effects;
  waits: Waits;
  guard: Guard;
  loops: LoopGuard;
  /** The tools that the agent declares. */
  granted: () => ToolSet;
  /** What was wrong with what the task made of its models' answers before. */
  revision: Revision | undefined;
  signal: AbortSignal;
  tracer: Tracer;
}

/**
 * Runs the tool-calling loop until the model answers. Model calls and tool calls are durable steps; nothing is tried
 * again here, for the fleet has the one retry policy. A model that makes a mistake is told so, twice; then the error is
 * `bad-model-output`. A loop that does not come to an end is `too-many-turns`.
 */
export async function generate<T>(deps: GenerateDeps, generation: Generation<T>): Promise<T> {
  const conversation = new Conversation(deps, generation);
  const { answer } = generation;
  for (;;) {
    const text = await conversation.nextAnswer();
    // Without a shape the answer is text, and T is its default.
    if (!answer) return text as T;
    const parsed = parseAnswer(text, answer.schema);
    if (parsed.kind === "valid") return parsed.value;
    conversation.correct(`not a valid ${answer.name}: ${parsed.problem}`);
  }
}

/** What was said between a model and its tools so far, and how many turns and mistakes it took. */
class Conversation {
  readonly #deps: GenerateDeps;
  readonly #generation: Generation<unknown>;
  readonly #key: string;
  readonly #tools: ToolSet;
  readonly #messages: ModelMessage[];
  readonly #maxTurns: number;
  readonly #failure = new FirstFailure();
  #turns = 0;
  #mistakes = 0;

  constructor(deps: GenerateDeps, generation: Generation<unknown>) {
    this.#deps = deps;
    this.#generation = generation;
    // Taken before anything is awaited: two generations at the same time keep their keys in every replay.
    this.#key = deps.steps.keyFor("#generate");
    const granted = grantTools(generation.tools, deps.granted());
    this.#tools = durableTools(granted, deps, this.#key, (error) => this.#failure.keep(error));
    this.#messages = [{ role: "user", content: generation.prompt + refusalOf(deps.revision) }];
    this.#maxTurns = generation.maxTurns ?? defaultMaxTurns;
  }

  /** Lets the model call tools until it answers, and gives the answer as it stands. */
  async nextAnswer(): Promise<string> {
    if (this.#turns >= this.#maxTurns) throw this.#tooManyTurns();
    const { steps, purse, guard, signal } = this.#deps;
    const { provider } = this.#deps.model;
    const [{ generateText, isStepCount, Output, wrapLanguageModel }, model] = await Promise.all([
      import("ai"),
      this.#deps.model.load(),
    ]);
    const { system, answer } = this.#generation;
    const calls = { steps, purse, guard, provider, key: this.#key, beforeCall: () => this.#failure.rethrow() };
    const result = await generateText({
      model: wrapLanguageModel({ model, middleware: durableCalls(calls) }),
      instructions: system,
      messages: this.#messages,
      tools: this.#tools,
      // The model is told the shape, but parsing is not left to the SDK, whose error would lose the conversation.
      output: answer ? { ...Output.text(), responseFormat: Output.object(answer).responseFormat } : Output.text(),
      stopWhen: [
        isStepCount(this.#maxTurns - this.#turns),
        ({ steps: turns }) => this.#mistakes + countMistakes(turns) > maxRepairs,
      ],
      maxRetries: 0,
      abortSignal: signal,
    });
    this.#failure.rethrow();
    this.#turns += result.steps.length;
    this.#mistakes += countMistakes(result.steps);
    this.#messages.push(...result.responseMessages);

    const { text, toolCalls, finishReason } = result.finalStep;
    if (this.#mistakes > maxRepairs) throw badOutput("the model keeps calling tools in a wrong way");
    if (finishReason === "length" || finishReason === "content-filter") {
      throw badOutput(`the model was cut off: ${finishReason}`);
    }
    if (toolCalls.length > 0) throw this.#tooManyTurns();
    return text;
  }

  /** Tells the model what is wrong with its answer; throws if it has been told often enough. */
  correct(problem: string): void {
    this.#mistakes += 1;
    if (this.#mistakes > maxRepairs) throw badOutput(`the answer is ${problem}`);
    this.#messages.push({ role: "user", content: `That is ${problem}. Answer again, with nothing but the JSON.` });
  }

  #tooManyTurns(): TaskError {
    const message = `the model did not answer within ${this.#maxTurns} turns`;
    return new TaskError({ class: "data", code: "too-many-turns", message });
  }
}

/** What a model is told of the plan before, which its answers have led to. */
function refusalOf(revision: Revision | undefined): string {
  if (!revision) return "";
  const problems = revision.problems.map(({ path, message }) => `- ${path}: ${message}`);
  return ["\n\nThe plan that this led to before was sent back. Mend what is wrong with it:", ...problems].join("\n");
}

/** The first error of a tool that no model can mend; the loop of the SDK would only tell the model. */
class FirstFailure {
  #kept: { error: unknown } | undefined;

  keep(error: unknown): void {
    this.#kept ??= { error };
  }

  rethrow(): void {
    if (this.#kept) throw this.#kept.error;
  }
}

/** Turns in which the model called a tool that it was not offered, or with arguments that do not fit. */
function countMistakes(steps: readonly StepResult<ToolSet>[]): number {
  return steps.filter((step) => step.toolCalls.some((call) => call.invalid)).length;
}

type ParsedAnswer<T> = { kind: "valid"; value: T } | { kind: "invalid"; problem: string };

function parseAnswer<T>(text: string, schema: z.ZodType<T>): ParsedAnswer<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "invalid", problem: "it is not JSON" };
  }
  const parsed = schema.safeParse(value);
  return parsed.success
    ? { kind: "valid", value: parsed.data }
    : { kind: "invalid", problem: z.prettifyError(parsed.error).replaceAll("\n", " ") };
}

function badOutput(message: string): TaskError {
  return new TaskError({ class: "data", code: "bad-model-output", message });
}
