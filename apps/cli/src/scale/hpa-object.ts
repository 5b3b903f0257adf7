import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { CliError, exitCode } from "../exit.ts";
import type { HpaSpec, ScalingRules } from "./hpa.ts";

/** The object by which a cluster scales the workers of each agent type. */
export const agentHpaFile = fileURLToPath(new URL("../../../../kubernetes/base/agent/hpa.yaml", import.meta.url));

/** Of the controller of Kubernetes, unless its flag says otherwise. */
const defaultTolerance = 0.1;

const Policy = z.strictObject({
  type: z.enum(["Pods", "Percent"]),
  value: z.int().positive(),
  periodSeconds: z.int().positive().max(1800),
});
const Rules = z.strictObject({
  stabilizationWindowSeconds: z.int().min(0).max(3600).exactOptional(),
  selectPolicy: z.enum(["Max", "Min", "Disabled"]).default("Max"),
  policies: z.array(Policy).min(1).exactOptional(),
});
type Rules = z.output<typeof Rules>;

/** What may stand in the object; what else an autoscaler knows cannot be read here, and is refused. */
const HorizontalPodAutoscaler = z.object({
  apiVersion: z.literal("autoscaling/v2"),
  kind: z.literal("HorizontalPodAutoscaler"),
  spec: z.strictObject({
    scaleTargetRef: z.unknown(),
    minReplicas: z.int().min(1).default(1),
    maxReplicas: z.int().min(1),
    metrics: z
      .array(
        z.strictObject({
          type: z.literal("External"),
          external: z.strictObject({
            metric: z.strictObject({ name: z.literal("flotilla_queue_backlog"), selector: z.unknown() }),
            target: z.strictObject({
              type: z.literal("AverageValue"),
              averageValue: z.coerce.number().positive(),
            }),
          }),
        }),
      )
      .min(1),
    behavior: z.strictObject({ scaleUp: Rules.exactOptional(), scaleDown: Rules.exactOptional() }).default({}),
  }),
});

const defaults: Record<"scaleUp" | "scaleDown", ScalingRules> = {
  scaleUp: {
    stabilizationMs: 0,
    select: "Max",
    policies: [
      { type: "Pods", value: 4, periodMs: 15_000 },
      { type: "Percent", value: 100, periodMs: 15_000 },
    ],
  },
  scaleDown: {
    stabilizationMs: 300_000,
    select: "Max",
    policies: [{ type: "Percent", value: 100, periodMs: 15_000 }],
  },
};

/** Reads an autoscaler from a YAML file; exit 78 where it is not there or asks for what cannot be had here. */
export async function readHpa(file = agentHpaFile): Promise<HpaSpec> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError(exitCode.badConfiguration, `the autoscaler ${file} cannot be read`, { cause });
  });
  const parsed = HorizontalPodAutoscaler.safeParse(parse(text));
  if (!parsed.success) {
    const problems = z.prettifyError(parsed.error);
    throw new CliError(
      exitCode.badConfiguration,
      `${file} is no autoscaler that agents can be scaled by:\n${problems}`,
    );
  }
  const { minReplicas, maxReplicas, metrics, behavior } = parsed.data.spec;
  return {
    minReplicas,
    maxReplicas,
    tolerance: defaultTolerance,
    metrics: metrics.map(({ external }) => ({
      name: external.metric.name,
      averageValue: external.target.averageValue,
    })),
    scaleUp: rulesOf(behavior.scaleUp, defaults.scaleUp),
    scaleDown: rulesOf(behavior.scaleDown, defaults.scaleDown),
  };
}

function rulesOf(rules: Rules | undefined, fallback: ScalingRules): ScalingRules {
  if (!rules) return fallback;
  const { stabilizationWindowSeconds: seconds, selectPolicy, policies } = rules;
  return {
    stabilizationMs: seconds === undefined ? fallback.stabilizationMs : seconds * 1000,
    select: selectPolicy,
    policies:
      policies?.map(({ type, value, periodSeconds }) => ({ type, value, periodMs: periodSeconds * 1000 })) ??
      fallback.policies,
  };
}
