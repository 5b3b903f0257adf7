import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeKustomize, type KubernetesObject, overlays, render, root } from "./render.ts";

/** The module that has the type and the validator of a kind. */
function moduleOf({ apiVersion, kind }: KubernetesObject): string {
  return apiVersion.startsWith("keda.sh/")
    ? `@kubernetes-models/keda/${apiVersion}/${kind}`
    : `kubernetes-models/${apiVersion}/${kind}`;
}

/** What is wrong with an object by the schema of its kind: fields that are missing, formats, enumerations. */
async function invalid(object: KubernetesObject): Promise<string | undefined> {
  const module: Record<string, new (data: object) => { validate(): void }> = await import(moduleOf(object));
  const Model = module[object.kind];
  if (!Model) return `${object.kind} is not in ${moduleOf(object)}`;
  try {
    new Model(object).validate();
    return undefined;
  } catch (error) {
    return `${object.kind} ${object.metadata.name}: ${String(error)}`;
  }
}

/** What the compiler says of the objects as literals of their types: fields that no such object has, and wrong types. */
async function typed(objects: readonly KubernetesObject[]): Promise<string> {
  const scratch = join(root, ".flotilla");
  await mkdir(scratch, { recursive: true });
  const place = await mkdtemp(join(scratch, "types-"));
  const declarations = objects.map((object, index) => {
    const name = `o${index}_${object.metadata.name.replaceAll(/\W/g, "_")}`;
    return [
      `import type { I${object.kind} as T${index} } from "${moduleOf(object)}";`,
      `export const ${name}: T${index} = ${JSON.stringify(object, undefined, 1)};`,
    ].join("\n");
  });
  try {
    await writeFile(join(place, "objects.ts"), declarations.join("\n"));
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2024"];
    return await new Promise((done) => {
      execFile(
        join(root, "node_modules/.bin/tsc"),
        [...options, "--ignoreConfig", join(place, "objects.ts")],
        { cwd: root },
        (_error, stdout, stderr) => done(stdout + stderr),
      );
    });
  } finally {
    await rm(place, { recursive: true });
  }
}

function planted(objects: readonly KubernetesObject[], change: (text: string) => string): KubernetesObject[] {
  return objects.map((object) => JSON.parse(change(JSON.stringify(object))));
}

describeKustomize("every object of Kubernetes", () => {
  test.each(overlays)("of %s is of the schema of its kind, and has no field beside it", async (overlay) => {
    const objects = await render(overlay);
    expect(objects.length).toBeGreaterThan(20);
    const problems = await Promise.all(objects.map(invalid));
    expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
    expect(await typed(objects)).toBe("");
  });

  test("that has an unknown field, a wrong type or lacks what it needs is found", async () => {
    const objects = await render("production");
    const unknown = planted(objects, (text) =>
      text.replace('"terminationGracePeriodSeconds"', '"terminationGraceSeconds"'),
    );
    expect(await typed(unknown)).toContain("terminationGraceSeconds");
    const wrong = planted(objects, (text) => text.replace('"minReplicas":3', '"minReplicas":"3"'));
    expect(await typed(wrong)).toContain("not assignable to type 'number'");
    const lacking = planted(objects, (text) => text.replace('"scaleTargetRef"', '"scaleTarget"'));
    const problems = await Promise.all(lacking.map(invalid));
    expect(problems.filter((problem) => problem?.includes("scaleTargetRef"))).not.toEqual([]);
  });

  test("is in a file that some overlay names", async () => {
    const names = new Set<string>();
    for (const overlay of overlays)
      for (const { kind, metadata } of await render(overlay)) names.add(`${kind}/${metadata.name}`);
    expect(names).toContain("ScaledObject/agent-review");
    expect(names).toContain("APIService/v1beta1.external.metrics.k8s.io");
    expect(names).toContain("StatefulSet/redis");
    const components = await readdir(join(root, "kubernetes/components"));
    expect(components.toSorted()).toEqual(["deletion-cost", "keda", "metrics-adapter", "oke", "redis"]);
  });
});
