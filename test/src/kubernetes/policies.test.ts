import { existsSync } from "node:fs";
import { join } from "node:path";
import { builtinAgents } from "@flotilla/agents";
import * as runtime from "@flotilla/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Workload, workloadsOf } from "./pods.ts";
import { describeKustomize, type KubernetesObject, overlays, render, root } from "./render.ts";

const Labels = z.record(z.string(), z.string());
const Selector = z.strictObject({
  matchLabels: Labels.default({}),
  matchExpressions: z
    .array(z.strictObject({ key: z.string(), operator: z.literal("In"), values: z.array(z.string()) }))
    .default([]),
});
const External = z.looseObject({
  type: z.literal("External"),
  external: z.strictObject({
    metric: z.strictObject({
      name: z.string(),
      selector: z.strictObject({ matchLabels: z.strictObject({ agent_type: z.string() }) }).exactOptional(),
    }),
    target: z.strictObject({ type: z.literal("AverageValue"), averageValue: z.string() }),
  }),
});
const Autoscaler = z.looseObject({
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({
    scaleTargetRef: z.strictObject({
      apiVersion: z.literal("apps/v1"),
      kind: z.literal("Deployment"),
      name: z.string(),
    }),
    minReplicas: z.int(),
    maxReplicas: z.int(),
    metrics: z.array(z.union([External, z.looseObject({ type: z.literal("Resource"), resource: z.unknown() })])),
  }),
});

/** The variables that processes read, each with its schema. */
const variables = new Map(
  Object.entries(runtime)
    .filter(([name]) => name.endsWith("Environment"))
    .flatMap(([, environment]) => (environment instanceof z.ZodObject ? Object.entries(environment.shape) : [])),
);

const drainSeconds = 10;
const builtin = builtinAgents({ docsRoots: [], dataDir: "" })
  .map(({ type }) => type)
  .toSorted();

function selects(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  const { matchLabels, matchExpressions } = Selector.parse(selector);
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ""))
  );
}

/** Whether its process tells Kubernetes what it costs to delete the pod. */
function writesCost({ containers }: Workload["spec"]["template"]["spec"]): boolean {
  return containers.some(({ env }) => env.some(({ name }) => name === "POD_NAME"));
}

function ofKind<T>(objects: readonly KubernetesObject[], kind: string, schema: z.ZodType<T>): T[] {
  return objects.filter((object) => object.kind === kind).map((object) => schema.parse(object));
}

describeKustomize("the overlays for Kubernetes", () => {
  const rendered = new Map<string, KubernetesObject[]>();
  beforeAll(async () => {
    for (const overlay of overlays) rendered.set(overlay, await render(overlay));
  });
  const objectsOf = (overlay: string) => rendered.get(overlay) ?? [];
  const autoscalersOf = (overlay: string) => ofKind(objectsOf(overlay), "HorizontalPodAutoscaler", Autoscaler);
  const podLabels = ({ spec }: Workload) => spec.template.metadata.labels;

  describe.each(overlays)("%s", (overlay) => {
    let objects: KubernetesObject[];
    let workloads: Workload[];
    beforeAll(() => {
      objects = objectsOf(overlay);
      workloads = workloadsOf(objects);
    });

    test("runs API, supervisor and each agent type by itself, from one image", () => {
      const names = workloads.filter(({ kind }) => kind === "Deployment").map(({ metadata }) => metadata.name);
      expect(names).toEqual(expect.arrayContaining(["api", "supervisor", ...builtin.map((type) => `agent-${type}`)]));
      const own = workloads.filter(({ kind }) => kind === "Deployment");
      expect(new Set(own.map(({ spec }) => spec.template.spec.containers[0]?.image)).size).toBe(1);
      for (const workload of own) {
        const [container] = workload.spec.template.spec.containers;
        const main = container?.args[0] ?? "";
        expect(main).toMatch(/^apps\/[a-z-]+\/src\/main\.ts$/);
        expect(existsSync(join(root, main))).toBe(true);
      }
    });

    test("every selector chooses the pods that it means, and no other's", () => {
      for (const workload of workloads) {
        const { matchLabels } = workload.spec.selector;
        const chosen = workloads.filter((other) => selects({ matchLabels }, podLabels(other)));
        expect(chosen).toEqual([workload]);
        for (const { labelSelector } of workload.spec.template.spec.topologySpreadConstraints) {
          expect(selects(labelSelector, podLabels(workload))).toBe(true);
        }
      }
      const Service = z.looseObject({
        metadata: z.looseObject({ name: z.string() }),
        spec: z.looseObject({ selector: Labels, ports: z.array(z.looseObject({ targetPort: z.string() })) }),
      });
      for (const { metadata, spec } of ofKind(objects, "Service", Service)) {
        const chosen = workloads.filter((one) => selects({ matchLabels: spec.selector }, podLabels(one)));
        expect(chosen.map((one) => one.metadata.name)).toEqual([metadata.name]);
        const ports = chosen[0]?.spec.template.spec.containers.flatMap(({ ports }) => ports.map(({ name }) => name));
        for (const { targetPort } of spec.ports) expect(ports).toContain(targetPort);
      }
      const Chosen = z.looseObject({ metadata: z.looseObject({ name: z.string() }), spec: z.looseObject({}) });
      for (const { metadata, spec } of ofKind(objects, "PodDisruptionBudget", Chosen)) {
        const chosen = workloads.filter((one) => selects(spec.selector, podLabels(one)));
        expect(chosen.map((one) => one.metadata.name)).toEqual([metadata.name]);
      }
      for (const { metadata, spec } of ofKind(objects, "NetworkPolicy", Chosen)) {
        const chosen = workloads.filter((one) => selects(spec.podSelector, podLabels(one)));
        expect(chosen.length, metadata.name).toBeGreaterThan(0);
      }
    });

    test("a pod has longer to end than it waits and drains", () => {
      for (const { kind, spec } of workloads) {
        if (kind !== "Deployment") continue;
        const { containers, terminationGracePeriodSeconds } = spec.template.spec;
        const waits = containers.map(({ lifecycle }) => lifecycle?.preStop.sleep.seconds ?? 0);
        expect(waits.every((seconds) => seconds > 0)).toBe(true);
        expect(terminationGracePeriodSeconds).toBeGreaterThan(Math.max(...waits) + drainSeconds);
      }
    });

    test("pods spread over availability domains, and only what asks the API server has a token", () => {
      for (const { kind, metadata, spec } of workloads) {
        const { topologySpreadConstraints, automountServiceAccountToken } = spec.template.spec;
        const keys = topologySpreadConstraints.map(({ topologyKey }) => topologyKey);
        if (kind === "Deployment") expect(keys).toContain("topology.kubernetes.io/zone");
        const asks = metadata.name === "metrics-adapter" || writesCost(spec.template.spec) || overlay === "oke";
        expect(automountServiceAccountToken).toBe(asks);
      }
    });

    test("an agent may patch pods and nothing else, and of those its own annotation only", () => {
      const agents = workloads.filter((one) => podLabels(one)["app.kubernetes.io/name"] === "agent");
      const isScaled = overlay !== "development" && overlay !== "keda";
      expect(agents.map(({ spec }) => writesCost(spec.template.spec))).toEqual(agents.map(() => isScaled));
      const Role = z.looseObject({ metadata: z.looseObject({ name: z.string() }), rules: z.array(z.unknown()) });
      const roles = ofKind(objects, "Role", Role).filter(({ metadata }) => metadata.name.includes("agent"));
      const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["patch"] }];
      expect(roles.map((role) => role.rules)).toEqual(isScaled ? [rules] : []);
      const guards = objects.filter(({ kind }) => kind === "ValidatingAdmissionPolicyBinding");
      expect(guards.map(({ spec }) => spec)).toEqual(
        isScaled ? [{ policyName: "flotilla-agent-own-pod", validationActions: ["Deny"] }] : [],
      );
    });

    test("every variable is one that a process reads, with a value that it takes", () => {
      const maps = new Map(
        ofKind(
          objects,
          "ConfigMap",
          z.looseObject({ metadata: z.looseObject({ name: z.string() }), data: Labels }),
        ).map(({ metadata, data }) => [metadata.name, data]),
      );
      for (const { kind, spec } of workloads) {
        if (kind !== "Deployment") continue;
        for (const { env, envFrom } of spec.template.spec.containers) {
          const names = envFrom.flatMap((source) => ("configMapRef" in source ? [source.configMapRef.name] : []));
          expect(names).toHaveLength(1);
          const given = [...Object.entries(maps.get(names[0] ?? "") ?? {}), ...env.map((one) => [one.name, one.value])];
          expect(given.length).toBeGreaterThan(5);
          for (const [name = "", value] of given) {
            const variable = variables.get(name);
            expect(variable, name).toBeDefined();
            if (variable && value !== undefined) expect(z.safeParse(variable, value).success, name).toBe(true);
          }
        }
      }
    });

    test("holds no secret, and what is named exists or is a secret", () => {
      expect(objects.filter(({ kind }) => kind === "Secret")).toEqual([]);
      const accounts = objects.filter(({ kind }) => kind === "ServiceAccount").map(({ metadata }) => metadata.name);
      const claims = objects
        .filter(({ kind }) => kind === "PersistentVolumeClaim")
        .map(({ metadata }) => metadata.name);
      for (const { spec } of workloads) {
        const { serviceAccountName, volumes, containers } = spec.template.spec;
        expect(accounts).toContain(serviceAccountName);
        for (const volume of volumes) {
          if ("persistentVolumeClaim" in volume) expect(claims).toContain(volume.persistentVolumeClaim.claimName);
        }
        const own = [...volumes, ...spec.volumeClaimTemplates.map(({ metadata }) => metadata)].map(({ name }) => name);
        for (const { volumeMounts } of containers) {
          for (const { name } of volumeMounts) expect(own).toContain(name);
        }
      }
    });

    test("nothing talks to anything that is not named, and nothing to the metadata address", () => {
      const Policy = z.looseObject({
        metadata: z.looseObject({ name: z.string() }),
        spec: z.looseObject({
          podSelector: z.looseObject({}),
          policyTypes: z.array(z.string()),
          egress: z.array(z.looseObject({ to: z.array(z.unknown()).default([]) })).default([]),
        }),
      });
      const policies = ofKind(objects, "NetworkPolicy", Policy);
      const deny = policies.filter(({ metadata }) => metadata.name === "default-deny");
      const nothing = { podSelector: {}, policyTypes: ["Ingress", "Egress"], egress: [] };
      expect(deny.map(({ spec }) => spec)).toEqual([nothing]);
      const blocks = [...JSON.stringify(policies).matchAll(/"ipBlock":(\{[^}]*\})/g)].map(([, text = ""]) =>
        z.strictObject({ cidr: z.string(), except: z.array(z.string()).default([]) }).parse(JSON.parse(text)),
      );
      for (const { cidr, except } of blocks) {
        if (!cidr.startsWith("10.")) expect(except).toContain("169.254.0.0/16");
      }
      // A rule that names nobody allows everybody.
      for (const { spec } of policies) {
        for (const { to } of spec.egress) expect(to.length).toBeGreaterThan(0);
      }
    });

    test("every autoscaler has a target that has nothing else to say about its number", () => {
      const ScaledObject = z.looseObject({
        spec: z.looseObject({ scaleTargetRef: z.strictObject({ name: z.string() }) }),
      });
      const targets = [
        ...autoscalersOf(overlay).map(({ spec }) => spec.scaleTargetRef.name),
        ...ofKind(objects, "ScaledObject", ScaledObject).map(({ spec }) => spec.scaleTargetRef.name),
      ];
      const scaled = overlay === "development" ? [] : ["supervisor", ...builtin.map((type) => `agent-${type}`)];
      expect(targets.toSorted()).toEqual(scaled.toSorted());
      for (const name of targets) {
        expect(workloads.find(({ metadata }) => metadata.name === name)?.spec).not.toHaveProperty("replicas");
      }
    });
  });

  test.each(["production", "high-scale"])(
    "%s scales agents by their own backlog, and has budgets for all",
    (overlay) => {
      const concurrency = Number(
        ofKind(objectsOf(overlay), "ConfigMap", z.looseObject({ data: Labels }))[0]?.data.AGENT_CONCURRENCY,
      );
      for (const type of builtin) {
        const autoscaler = autoscalersOf(overlay).find(({ metadata }) => metadata.name === `agent-${type}`);
        expect(autoscaler?.spec.metrics).toEqual([
          {
            type: "External",
            external: {
              metric: { name: "flotilla_queue_backlog", selector: { matchLabels: { agent_type: type } } },
              target: { type: "AverageValue", averageValue: String(2 * concurrency) },
            },
          },
        ]);
        const deployment = workloadsOf(objectsOf(overlay)).find(({ metadata }) => metadata.name === `agent-${type}`);
        expect(deployment && podLabels(deployment)["agent-type"]).toBe(type);
      }
      const supervisor = autoscalersOf(overlay).find(({ metadata }) => metadata.name === "supervisor");
      expect(supervisor?.spec.metrics).toEqual([
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
        {
          type: "External",
          external: {
            metric: { name: "flotilla_active_workflows" },
            target: { type: "AverageValue", averageValue: "50" },
          },
        },
      ]);
      const budgets = objectsOf(overlay).filter(({ kind }) => kind === "PodDisruptionBudget");
      expect(budgets.map(({ metadata }) => metadata.name).toSorted()).toEqual(
        workloadsOf(objectsOf(overlay))
          .map(({ metadata }) => metadata.name)
          .toSorted(),
      );
    },
  );

  test.each([
    { overlay: "development", cpu: "1", memory: "2Gi", supervisors: [1, 1], agents: [1, 1] },
    { overlay: "production", cpu: "2", memory: "4Gi", supervisors: [3, 10], agents: [2, 3] },
    { overlay: "high-scale", cpu: "4", memory: "8Gi", supervisors: [5, 10], agents: [2, 10] },
  ])("$overlay has the sizes that are promised", ({ overlay, cpu, memory, supervisors, agents }) => {
    const workloads = workloadsOf(objectsOf(overlay));
    const find = (name: string) => workloads.find(({ metadata }) => metadata.name === name);
    const size = { cpu, memory };
    const resources = find("supervisor")?.spec.template.spec.containers[0]?.resources;
    expect(resources).toEqual({ requests: size, limits: size });
    const range = (name: string) => {
      const spec = autoscalersOf(overlay).find(({ metadata }) => metadata.name === name)?.spec;
      const fixed = find(name)?.spec.replicas;
      return spec ? [spec.minReplicas, spec.maxReplicas] : [fixed, fixed];
    };
    expect(range("supervisor")).toEqual(supervisors);
    for (const type of builtin) expect(range(`agent-${type}`)).toEqual(agents);
  });
});
