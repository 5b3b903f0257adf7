import { z } from "zod";
import { AgentType } from "./ids.ts";
import type { Json } from "./json.ts";
import { type Issue, jsonPointer } from "./issue.ts";
import { SignalName } from "./wait.ts";

/** Longest output that the probe makes by itself: above what any task may give, and bounded. */
const maxProbeBytes = 64 * 1024 * 1024;

const JsonValue = z.custom<Json>((value) => value !== undefined, "is required");
const count = z.int().min(1);
const index = z.int().min(0);
const duration = z.int().min(0).max(2_147_483_647);

const ProbeStep = z.strictObject({
  tool: z.enum(["pure", "idempotent", "queryable", "unsafe"]),
  key: z
    .string()
    .min(1)
    .max(1000)
    .exactOptional()
    .meta({ description: "by default workflow, task and place of the step" }),
  sleepMs: duration.exactOptional().meta({ description: "inside the step, after its call" }),
});

const ProbeFail = z.strictObject({
  attempt: count,
  class: z.enum(["transient", "rate-limit", "data", "critical", "unknown"]),
  message: z.string().exactOptional(),
  step: index.exactOptional().meta({ description: "fails in place of the call of that step; else after all steps" }),
});

const ProbeCrash = z.strictObject({
  attempt: count.default(1),
  claim: count.default(1),
  step: index.exactOptional(),
  at: z.enum(["before", "during", "after"]).default("before"),
});

/** What the probe agent is told to do; see "The probe agent" in the contract. */
export const ProbeInput = z
  .strictObject({
    output: JsonValue.exactOptional(),
    outputBytes: z
      .int()
      .min(0)
      .max(maxProbeBytes)
      .exactOptional()
      .meta({ description: "the output is a string of so many bytes; not together with output" }),
    sleepMs: duration.exactOptional(),
    busyMs: duration.exactOptional(),
    steps: z.array(ProbeStep).max(10_000).exactOptional(),
    fail: z.array(ProbeFail).exactOptional(),
    crash: z.array(ProbeCrash).exactOptional(),
    handoff: z.strictObject({ to: AgentType, payload: JsonValue }).exactOptional(),
    approval: z.strictObject({ summary: z.string() }).exactOptional(),
    awaitSignal: SignalName.exactOptional(),
  })
  .superRefine((input, context) => {
    const report = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    if (input.output !== undefined && input.outputBytes !== undefined) {
      report(["outputBytes"], "give output or outputBytes, not both");
    }
    const steps = input.steps ?? [];
    for (const list of ["fail", "crash"] as const) {
      input[list]?.forEach(({ step }, i) => {
        if (step !== undefined && !steps[step]) report([list, i, "step"], `there is no step ${step}`);
      });
    }
    input.crash?.forEach(({ step, at }, i) => {
      if (at === "during" && step !== undefined && steps[step]?.tool === "pure") {
        report(["crash", i, "at"], "a pure step has no effect to crash after");
      }
    });
  });
export type ProbeInput = z.infer<typeof ProbeInput>;

/**
 * What is wrong with a probe's input before its templates are filled in, at JSON pointers into the input: a string
 * that holds a template may become anything, so no problem is seen in it.
 */
export function probeInputIssues(input: unknown): Issue[] {
  const problems = ProbeInput.safeParse(input).error?.issues ?? [];
  return problems
    .filter(({ path }) => !holdsTemplate(valueAt(input, path)))
    .flatMap((problem) => {
      const paths =
        problem.code === "unrecognized_keys" ? problem.keys.map((key) => [...problem.path, key]) : [problem.path];
      return paths.map((path) => ({ path: jsonPointer(path), code: "invalid-input", message: problem.message }));
    });
}

function holdsTemplate(value: unknown): boolean {
  return typeof value === "string" && value.includes("{{");
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
