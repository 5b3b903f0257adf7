import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agentHpaFile, readHpa } from "../src/scale/hpa-object.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-hpa-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(change: (text: string) => string) {
  const file = join(folder, "hpa.yaml");
  await writeFile(file, change(await readFile(agentHpaFile, "utf8")));
  return readHpa(file);
}

test("the autoscaler of kubernetes/ is read as it stands", async () => {
  expect(await readHpa(agentHpaFile)).toEqual({
    minReplicas: 2,
    maxReplicas: 10,
    tolerance: 0.1,
    metrics: [{ name: "flotilla_queue_backlog", averageValue: 20 }],
    scaleUp: {
      stabilizationMs: 0,
      select: "Max",
      policies: [
        { type: "Percent", value: 100, periodMs: 15_000 },
        { type: "Pods", value: 4, periodMs: 15_000 },
      ],
    },
    scaleDown: {
      stabilizationMs: 300_000,
      select: "Max",
      policies: [{ type: "Percent", value: 50, periodMs: 60_000 }],
    },
  });
});

test("what is left out is what Kubernetes takes for it", async () => {
  const spec = await read((text) => text.replace(/^ {2}behavior:[\s\S]*$/m, "").replace("  minReplicas: 2\n", ""));
  expect(spec).toMatchObject({
    minReplicas: 1,
    scaleUp: {
      stabilizationMs: 0,
      policies: [
        { type: "Pods", value: 4 },
        { type: "Percent", value: 100 },
      ],
    },
    scaleDown: { stabilizationMs: 300_000, policies: [{ type: "Percent", value: 100, periodMs: 15_000 }] },
  });
});

test.each([
  ["another metric", (text: string) => text.replace("flotilla_queue_backlog", "cpu")],
  ["a field that nobody knows", (text: string) => text.replace("selectPolicy", "selectedPolicy")],
  ["a target of another kind", (text: string) => text.replace("AverageValue", "Value")],
  ["another kind of object", (text: string) => text.replace("kind: HorizontalPodAutoscaler", "kind: ScaledObject")],
])("%s is refused and not ignored", async (_, change) => {
  await expect(read(change)).rejects.toMatchObject({ exitCode: 78 });
});

test("a file that is not there is refused", async () => {
  await expect(readHpa(join(folder, "none.yaml"))).rejects.toMatchObject({ exitCode: 78 });
});
