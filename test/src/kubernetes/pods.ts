import { z } from "zod";
import type { KubernetesObject } from "./render.ts";

const Labels = z.record(z.string(), z.string());
const Probe = z.looseObject({});
const Resources = z.strictObject({
  requests: z.strictObject({ cpu: z.string(), memory: z.string() }),
  limits: z.strictObject({ cpu: z.string(), memory: z.string() }),
});

/** What the rules of this repository ask of a pod, beyond what Kubernetes asks. */
const PodSpec = z.looseObject({
  serviceAccountName: z.string(),
  automountServiceAccountToken: z.boolean(),
  enableServiceLinks: z.literal(false),
  terminationGracePeriodSeconds: z.number(),
  // Of the standard `restricted`.
  securityContext: z.looseObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.int().min(1),
    seccompProfile: z.strictObject({ type: z.literal("RuntimeDefault") }),
  }),
  hostNetwork: z.never().optional(),
  hostPID: z.never().optional(),
  hostIPC: z.never().optional(),
  topologySpreadConstraints: z
    .array(z.looseObject({ topologyKey: z.string(), labelSelector: z.strictObject({ matchLabels: Labels }) }))
    .default([]),
  containers: z
    .array(
      z.looseObject({
        name: z.string(),
        // A tag that means the same tomorrow, or a digest.
        image: z.string().regex(/:(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$/),
        args: z.array(z.string()),
        env: z
          .array(
            z.looseObject({ name: z.string(), value: z.string().exactOptional(), valueFrom: z.unknown().optional() }),
          )
          .default([]),
        envFrom: z
          .array(
            z.union([
              z.strictObject({ configMapRef: z.strictObject({ name: z.string() }) }),
              z.strictObject({ secretRef: z.strictObject({ name: z.string(), optional: z.literal(true) }) }),
            ]),
          )
          .default([]),
        ports: z.array(z.strictObject({ name: z.string(), containerPort: z.int().min(1024) })),
        startupProbe: Probe,
        livenessProbe: Probe,
        readinessProbe: Probe,
        lifecycle: z
          .strictObject({ preStop: z.strictObject({ sleep: z.strictObject({ seconds: z.int() }) }) })
          .exactOptional(),
        resources: Resources,
        securityContext: z.strictObject({
          allowPrivilegeEscalation: z.literal(false),
          readOnlyRootFilesystem: z.literal(true),
          capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
        }),
        volumeMounts: z.array(z.looseObject({ name: z.string() })),
      }),
    )
    .min(1),
  volumes: z
    .array(
      z.union([
        z.strictObject({ name: z.string(), emptyDir: z.strictObject({ sizeLimit: z.string() }) }),
        z.strictObject({ name: z.string(), persistentVolumeClaim: z.strictObject({ claimName: z.string() }) }),
        z.strictObject({ name: z.string(), secret: z.strictObject({ secretName: z.string() }) }),
      ]),
    )
    .default([]),
});

const Workload = z.looseObject({
  kind: z.enum(["Deployment", "StatefulSet"]),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({
    replicas: z.int().exactOptional(),
    selector: z.strictObject({ matchLabels: Labels }),
    template: z.strictObject({ metadata: z.looseObject({ labels: Labels }), spec: PodSpec }),
    volumeClaimTemplates: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })).default([]),
  }),
});
export type Workload = z.infer<typeof Workload>;

/** Whatever runs pods. Throws where a pod is not as this repository wants it, with the name of the workload. */
export function workloadsOf(objects: readonly KubernetesObject[]): Workload[] {
  return objects
    .filter(({ kind }) => /^(Deployment|StatefulSet|DaemonSet|Job|CronJob|Pod|ReplicaSet)$/.test(kind))
    .map((object) => {
      const parsed = Workload.safeParse(object);
      if (parsed.success) return parsed.data;
      throw new Error(`${object.kind} ${object.metadata.name}: ${z.prettifyError(parsed.error)}`);
    });
}
