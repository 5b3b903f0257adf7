import { setTimeout as sleep } from "node:timers/promises";
import { APICallError } from "@ai-sdk/provider";
import { type Json, ProbeInput, TaskError } from "@flotilla/workflow";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../agent.ts";
import { type Effect, NotAppliedError } from "../effect.ts";
import { EffectLog } from "./effects.ts";

const ProbeOutput = z.object({
  output: z.custom<Json>((value) => value !== undefined),
  attempt: z.int(),
  claim: z.int(),
  executedSteps: z.int(),
  replayedSteps: z.int(),
  pid: z.int(),
});
export type ProbeOutput = z.infer<typeof ProbeOutput>;

type Crash = NonNullable<ProbeInput["crash"]>[number];
type Fail = NonNullable<ProbeInput["fail"]>[number];
type Step = NonNullable<ProbeInput["steps"]>[number];

/**
 * The agent that does what its input says and asks no model: it sleeps, fails, dies and has effects on command, so that
 * the fleet can be tested and measured. `effectsPath` is the file that takes a line for every effect; without it a step
 * that has an effect is refused.
 */
export function createProbe(effectsPath?: string): Agent {
  const effects = effectsPath === undefined ? undefined : new EffectLog(effectsPath);
  return defineAgent<ProbeInput, ProbeOutput>({
    type: "probe",
    description: "Does what it is told, for tests and benchmarks; asks no model.",
    input: ProbeInput,
    output: ProbeOutput,
    async run(ctx, asked) {
      await dieIfTold(ctx, asked.crash, "before", undefined);
      const input = await approved(ctx, asked);
      const steps = input.steps ?? [];
      const signal = input.awaitSignal === undefined ? null : await ctx.awaitSignal(input.awaitSignal);
      let executedSteps = 0;

      for (const [index, step] of steps.entries()) {
        await dieIfTold(ctx, input.crash, "before", index);
        await takeStep(ctx, effects, step, index, async (signal, apply) => {
          executedSteps += 1;
          const told = failureTold(ctx, input.fail, index);
          // It fails in place of the call, which so is never made.
          if (told) throw new NotAppliedError(told.message, { cause: told });
          await apply();
          await dieIfTold(ctx, input.crash, "during", index);
          if (step.sleepMs) await sleep(step.sleepMs, undefined, { signal });
          return null;
        });
        await dieIfTold(ctx, input.crash, "after", index);
      }
      await dieIfTold(ctx, input.crash, "during", undefined);
      await dieIfTold(ctx, input.crash, "after", undefined);

      if (input.sleepMs) await sleep(input.sleepMs, undefined, { signal: ctx.signal });
      if (input.busyMs) keepBusy(input.busyMs);
      const told = failureTold(ctx, input.fail, undefined);
      if (told) throw told;
      const { handoff } = input;
      const given = handoff ? await ctx.handoff(handoff.to, handoff.payload) : signal;
      return {
        output: {
          output: input.output ?? (input.outputBytes === undefined ? given : "x".repeat(input.outputBytes)),
          attempt: ctx.attempt,
          claim: ctx.claim,
          executedSteps,
          replayedSteps: steps.length - executedSteps,
          pid: process.pid,
        },
      };
    },
  });
}

/** What the probe may do: all that it was told, or what a person put in place of that. */
async function approved(ctx: AgentContext, { approval, ...given }: ProbeInput): Promise<ProbeInput> {
  if (!approval) return given;
  const allowed = await ctx.approve("input", given, approval);
  const parsed = ProbeInput.safeParse(allowed);
  if (parsed.success) return parsed.data;
  throw new TaskError({ class: "data", code: "invalid-edit", message: z.prettifyError(parsed.error) });
}

/** Takes a step of the probe, durable as its class wants it; `run` is handed the call to the world outside. */
async function takeStep(
  ctx: AgentContext,
  effects: EffectLog | undefined,
  step: Step,
  index: number,
  run: (signal: AbortSignal, apply: () => Promise<void>) => Promise<null>,
): Promise<void> {
  const name = `${index}`;
  const input = { tool: step.tool, key: step.key ?? null };
  if (step.tool === "pure") {
    await ctx.step(name, input, (signal) => run(signal, async () => {}));
    return;
  }
  if (!effects) {
    throw new TaskError({
      class: "critical",
      code: "effects-not-configured",
      message: "the probe has no file for its effects",
    });
  }
  const { workflowId, taskId, attempt, epoch } = ctx;
  await ctx.effect(name, input, effectOf(step, effects), ({ key, signal }) => {
    const effect = { workflowId, taskId, step: index, key, attempt, epoch, pid: process.pid };
    return run(signal, () =>
      step.tool === "unsafe" ? effects.applyBlindly(effect, signal) : effects.applyOnce(effect, signal),
    );
  });
}

function effectOf({ tool, key }: Step, effects: EffectLog): Effect<null> {
  const named = key === undefined ? {} : { key };
  switch (tool) {
    case "pure":
    case "idempotent":
      return { class: "idempotent", ...named };
    case "unsafe":
      return { class: "unsafe", ...named };
    case "queryable":
      return {
        class: "queryable",
        ...named,
        query: async (call) =>
          (await effects.isApplied(call.key, call.signal)) ? { happened: true, result: null } : { happened: false },
      };
  }
}

/** Kills the process, as the kernel would: nothing is flushed, nothing is handed back. */
async function dieIfTold(
  { attempt, claim }: AgentContext,
  crashes: readonly Crash[] | undefined,
  at: Crash["at"],
  step: number | undefined,
): Promise<void> {
  const isTold = crashes?.some(
    (crash) => crash.attempt === attempt && crash.claim === claim && crash.at === at && crash.step === step,
  );
  if (!isTold) return;
  process.kill(process.pid, "SIGKILL");
  // The signal may be delivered a moment later; nothing may happen in between.
  await new Promise(() => {});
}

function failureTold(
  ctx: AgentContext,
  failures: readonly Fail[] | undefined,
  step: number | undefined,
): Error | undefined {
  const told = failures?.find((failure) => failure.attempt === ctx.attempt && failure.step === step);
  return told && realError(told.class, told.message ?? `the probe was told to fail: ${told.class}`);
}

/** An error as it comes from the world, so that it takes the same way as one. */
function realError(failureClass: Fail["class"], message: string): Error {
  switch (failureClass) {
    case "transient":
      return Object.assign(new Error(message), { code: "ECONNRESET" });
    case "rate-limit":
      return callError(message, 429);
    case "data":
      return callError(message, 422);
    case "critical":
      return callError(message, 403);
    case "unknown":
      return new Error(message);
  }
}

function callError(message: string, statusCode: number): APICallError {
  return new APICallError({ message, statusCode, url: "probe:", requestBodyValues: {} });
}

/** Blocks the event loop, as work bound to the CPU does. */
function keepBusy(durationMs: number): void {
  const endsAt = performance.now() + durationMs;
  while (performance.now() < endsAt);
}
