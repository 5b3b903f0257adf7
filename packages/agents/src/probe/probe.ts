import { setTimeout as sleep } from "node:timers/promises";
import { APICallError } from "@ai-sdk/provider";
import { type Json, ProbeInput, TaskError, unsupportedProbeFields } from "@flotilla/workflow";
import { z } from "zod";
import { type Agent, type AgentContext, defineAgent } from "../agent.ts";
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
    async run(ctx, input) {
      const refused = unsupportedProbeFields(input).map(({ path }) => path);
      if (refused.length > 0) {
        throw new TaskError({
          class: "data",
          code: "not-supported",
          message: `not supported by this release: ${refused.join(", ")}`,
        });
      }
      const steps = input.steps ?? [];
      let executedSteps = 0;

      await dieIfTold(ctx, input.crash, "before", undefined);
      for (const [index, step] of steps.entries()) {
        await dieIfTold(ctx, input.crash, "before", index);
        await ctx.step(`${index}`, { tool: step.tool, key: step.key ?? null }, async (signal) => {
          executedSteps += 1;
          await failIfTold(ctx, input.fail, index);
          if (step.tool !== "pure") await applyEffect(effects, ctx, step, index);
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
      await failIfTold(ctx, input.fail, undefined);
      return {
        output: {
          output: input.output ?? (input.outputBytes === undefined ? null : "x".repeat(input.outputBytes)),
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

async function applyEffect(
  effects: EffectLog | undefined,
  ctx: AgentContext,
  step: Step,
  index: number,
): Promise<void> {
  if (!effects) {
    throw new TaskError({
      class: "critical",
      code: "effects-not-configured",
      message: "the probe has no file for its effects",
    });
  }
  const { workflowId, taskId, attempt, epoch } = ctx;
  const key = step.key ?? `${workflowId}/${taskId}/${index}`;
  const effect = { workflowId, taskId, step: index, key, attempt, epoch, pid: process.pid };
  await effects.applyOnce(effect, ctx.signal);
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

async function failIfTold(
  ctx: AgentContext,
  failures: readonly Fail[] | undefined,
  step: number | undefined,
): Promise<void> {
  const told = failures?.find((failure) => failure.attempt === ctx.attempt && failure.step === step);
  if (told) throw realError(told.class, told.message ?? `the probe was told to fail: ${told.class}`);
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
