import {
  type Artifact,
  type BlobStore,
  CircuitOpenError,
  type Circuits,
  type ClaimedTask,
  ClaimLostError,
  type Executor,
  type Failure,
  type Json,
  type ModelLimits,
  noCircuits,
  noModelLimits,
  TaskError,
  type TaskOutcome,
} from "@flotilla/workflow";
import {
  flotillaAttributes,
  type Logger,
  noTracer,
  operations,
  type Redact,
  spanAttributes,
  type Tracer,
  withLogFields,
} from "@flotilla/runtime";
import type { z } from "zod";
import type { Agent, AgentResult } from "./agent.ts";
import { classify } from "./classify.ts";
import { createContext, type RunContext } from "./context.ts";
import { isFault, postponementOf } from "./guard.ts";
import { defaultLoopLimit } from "./loop-guard.ts";
import type { Model } from "./models/model.ts";

/** Largest output of a task, in bytes of JSON. */
export const maxOutputBytes = 8 * 1024 * 1024;

/** Most that a task appends, in bytes of JSON: as much as a client may ask for. */
const maxAppendBytes = 1024 * 1024;

/** What an executor runs tasks with. */
export interface ExecutorOptions {
  agents: readonly Agent[];
  blobs: BlobStore;
  model: Model;
  /** What keeps tasks away from what fails for everybody; nothing does unless given. */
  circuits?: Circuits;
  /** What the providers of models give in a minute; as much as is asked for unless given. */
  limits?: ModelLimits;
  logger: Logger;
  /** How often a task may make one and the same call; 8 unless given. */
  loopLimit?: number;
  /** Traces nothing unless given. */
  tracer?: Tracer;
  /** Takes the secrets of the process out of what a failure says; nothing is taken out unless given. */
  redact?: Redact;
}

/**
 * An executor of the tasks of `agents`. It checks what goes in and what comes out against the agent's schemas and turns
 * whatever is thrown into an outcome; it throws only `ClaimLostError` and the reason of the signal.
 */
export function createExecutor(options: ExecutorOptions): Executor {
  const { circuits = noCircuits, limits = noModelLimits, tracer = noTracer, redact = (text) => text } = options;
  const { loopLimit = defaultLoopLimit } = options;
  const execute = executorOf({ ...options, circuits, limits, tracer, redact, loopLimit });
  return (task, journal, signal) => {
    const { workflowId, taskId, attempt, claim, agent } = task;
    const attributes = {
      [spanAttributes.operationName]: operations.invokeAgent,
      [spanAttributes.agentName]: agent,
      [spanAttributes.conversationId]: workflowId,
      [flotillaAttributes.tenant]: task.tenant,
      [flotillaAttributes.task]: taskId,
      [flotillaAttributes.attempt]: attempt,
      [flotillaAttributes.claim]: claim,
    };
    return withLogFields({ workflowId, taskId, attempt }, () =>
      tracer.resume(task.traceparent, `${operations.invokeAgent} ${agent}`, { attributes }, async (span) => {
        const outcome = await execute(task, journal, signal);
        span.set({ [flotillaAttributes.outcome]: outcome.kind });
        if (outcome.kind === "failed") span.fail(outcome.error.code);
        return outcome;
      }),
    );
  };
}

function executorOf(options: Required<ExecutorOptions>): Executor {
  const { agents, blobs, model, circuits, limits, logger, tracer, redact, loopLimit } = options;
  const byType = new Map(agents.map((agent) => [agent.type, agent]));

  return async (task, journal, signal): Promise<TaskOutcome> => {
    try {
      signal.throwIfAborted();
      const agent = byType.get(task.agent);
      if (!agent) throw dataError("unknown-agent", `this worker has no agent of type ${task.agent}`);
      const input = accept(agent.input, task.input, "invalid-input");
      const run = createContext({ task, agent, journal, blobs, model, circuits, limits, signal, tracer, loopLimit });
      const work = () =>
        untilSettled(run, signal, async () => {
          const result = await agent.run(run.ctx, input);
          return completed(agent, result, await run.artifacts(), task.grant);
        });
      return await circuits.run(`agent:${agent.type}`, work, (error, isProbe) => {
        // Of tasks that fail by themselves the last that run are all retries: they say nothing about the others.
        return (isProbe || task.attempt === 1) && isFault(error);
      });
    } catch (error) {
      if (error instanceof CircuitOpenError) return { kind: "postponed", by: postponementOf(error) };
      if (error instanceof ClaimLostError) throw error;
      if (signal.aborted) throw signal.reason;
      const known = classify(error);
      // It goes into the log of the workflow, and a service may well quote the key that it refuses.
      const failure = { ...known, message: redact(known.message) };
      logger.warn({ err: error, claim: task.claim, agentType: task.agent, failure }, "task failed");
      return { kind: "failed", error: failure };
    }
  };
}

/** The outcome of the work once no effect of it is under way; where one is in doubt or the run waits, that is it. */
async function untilSettled(
  { effects, waits }: Pick<RunContext, "effects" | "waits">,
  signal: AbortSignal,
  work: () => Promise<TaskOutcome>,
): Promise<TaskOutcome> {
  const [ended] = await Promise.allSettled([work()]);
  await effects.settled();
  signal.throwIfAborted();
  if (effects.doubt) return { kind: "parked", doubt: effects.doubt };
  if (waits.outcome) return waits.outcome;
  if (ended.status === "rejected") throw ended.reason;
  return ended.value;
}

function completed(
  agent: Agent,
  result: AgentResult<unknown>,
  artifacts: Artifact[],
  grant: ClaimedTask["grant"],
): TaskOutcome {
  const text = JSON.stringify(accept(agent.output, result.output, "invalid-output")) ?? "null";
  const bytes = Buffer.byteLength(text);
  if (bytes > maxOutputBytes) {
    throw dataError("output-too-large", `the output has ${bytes} bytes, more than ${maxOutputBytes}`);
  }
  const append = result.append ?? [];
  if (append.length > 0 && (!agent.mayPlan || grant?.mayPlan === false)) {
    throw dataError("append-not-allowed", `agents of type ${agent.type} may not append phases`);
  }
  const phases = JSON.stringify(append);
  if (!Array.isArray(append) || Buffer.byteLength(phases) > maxAppendBytes) {
    throw dataError("invalid-append", `what is appended is a list of phases, at most ${maxAppendBytes} bytes of JSON`);
  }
  // What JSON keeps is the output: it is what every later reader gets.
  const output: Json = JSON.parse(text);
  return {
    kind: "completed",
    output,
    ...(artifacts.length > 0 && { artifacts }),
    // Whoever plans them names all that is wrong with them, and gives them back.
    ...(append.length > 0 && { append: JSON.parse(phases) }),
  };
}

function accept<T>(schema: z.ZodType<T>, value: unknown, code: "invalid-input" | "invalid-output"): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new TaskError(invalid(code, parsed.error), { cause: parsed.error });
}

function invalid(code: string, { issues }: z.ZodError): Failure {
  const problems = issues.map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message));
  return { class: "data", code, message: problems.join("; ") };
}

function dataError(code: string, message: string): TaskError {
  return new TaskError({ class: "data", code, message });
}
