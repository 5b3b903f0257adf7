import { createProbe, defineAgent } from "@flotilla/agents";
import { z } from "zod";

/** Above what a journal holds itself, so that it is a blob. */
const largeBytes = 40_000;

const probe = createProbe(process.env.FLOTILLA_PROBE_EFFECTS);

/** The probe, and around it all else that a task can do: a large step, a word, a file, a plan. */
export const agent = defineAgent({
  type: "deed",
  description: "Has effects as the probe has, for the test of failpoints.",
  input: z.looseObject({ append: z.array(z.any()).exactOptional() }),
  output: z.unknown(),
  mayPlan: true,

  async run(ctx, { append, ...told }) {
    await ctx.step("large", null, async () => "x".repeat(largeBytes));
    await ctx.progress("at work");
    const { output } = await probe.run(ctx, probe.input.parse(told));
    await ctx.writeArtifact(`${ctx.taskId}.txt`, "done", "text/plain");
    return { output, ...(append && { append }) };
  },
});
