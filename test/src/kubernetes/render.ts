import { execFile, execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { describe } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

export const root = resolve(import.meta.dirname, "../../..");
const folder = join(root, "kubernetes");

/** What is deployed by one command; `keda` and `oke` are put together here as an operator would. */
export const overlays = ["development", "production", "high-scale", "keda", "oke"] as const;
export type Overlay = (typeof overlays)[number];

/** What every object of Kubernetes has; the rest of it is read where it is needed. */
const KubernetesObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().exactOptional(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
});
export type KubernetesObject = z.infer<typeof KubernetesObject>;

const Version = z.object({ kustomizeVersion: z.string() });

function missing(): string | undefined {
  try {
    const output = execFileSync("kubectl", ["version", "--client", "-o", "json"], { encoding: "utf8" });
    const { kustomizeVersion } = Version.parse(JSON.parse(output));
    return /^v[5-9]\./.test(kustomizeVersion) ? undefined : `kustomize 5 is needed, kubectl has ${kustomizeVersion}`;
  } catch {
    return "no kubectl with kustomize 5 on PATH";
  }
}
const reason = missing();

/** A `describe` whose tests are skipped, with the reason in its name, where kustomize cannot be run. */
export function describeKustomize(name: string, define: () => void): void {
  if (reason === undefined) describe(name, define);
  else describe.skip(`${name} (skipped: ${reason})`, define);
}

/** The objects that an overlay consists of, by a real `kubectl kustomize`. */
export async function render(overlay: Overlay): Promise<KubernetesObject[]> {
  if (overlay === "keda") return together("base", "components/keda");
  if (overlay === "oke") return together("overlays/production", "components/oke");
  return kustomize(join(folder, "overlays", overlay));
}

async function together(resource: string, component: string): Promise<KubernetesObject[]> {
  const scratch = join(root, ".flotilla");
  await mkdir(scratch, { recursive: true });
  const place = await mkdtemp(join(scratch, "overlay-"));
  try {
    const kustomization = {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      namespace: "flotilla",
      resources: [relative(place, join(folder, resource))],
      components: [relative(place, join(folder, component))],
    };
    // JSON is YAML.
    await writeFile(join(place, "kustomization.yaml"), JSON.stringify(kustomization));
    return await kustomize(place);
  } finally {
    await rm(place, { recursive: true });
  }
}

async function kustomize(path: string): Promise<KubernetesObject[]> {
  const { stdout } = await promisify(execFile)("kubectl", ["kustomize", path], { maxBuffer: 16 * 1024 * 1024 });
  return parseAllDocuments(stdout).map((document) => KubernetesObject.parse(document.toJS()));
}
