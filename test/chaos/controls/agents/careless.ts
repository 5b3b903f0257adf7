import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { defineAgent } from "@flotilla/agents";
import { type Json, ProbeInput } from "@flotilla/workflow";
import { z } from "zod";

/**
 * The probe with a world outside that ignores keys: whatever is done again happens again. What the probe promises must
 * be seen to fail here, else the test of it proves nothing.
 */
export const agent = defineAgent({
  type: "careless",
  description: "Does what it is told, as often as it is told.",
  input: ProbeInput,
  output: z.object({ output: z.custom<Json>((value) => value !== undefined) }),
  async run(ctx, { steps = [], output = null }) {
    const { workflowId, taskId, attempt, epoch } = ctx;
    for (const [step, { sleepMs = 0 }] of steps.entries()) {
      await ctx.step(`${step}`, null, async (signal) => {
        const key = `${workflowId}/${taskId}/${step}`;
        append({ workflowId, taskId, step, key, attempt, epoch, pid: process.pid, applied: true });
        await delay(sleepMs, undefined, { signal });
        return null;
      });
    }
    return { output: { output } };
  },
});

function append(line: object): void {
  const file = openSync(process.env["FLOTILLA_PROBE_EFFECTS"] ?? "", "a", 0o600);
  writeSync(file, `${JSON.stringify(line)}\n`);
  fsyncSync(file);
  closeSync(file);
}
