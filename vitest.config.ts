import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const quick = "{apps,packages,bench,test}/**/*.test.ts";
const long = "{apps,packages,bench,test}/**/*.full.test.ts";

/** Files that take a minute or more, the longest first: one of them begun last would be waited for by itself. */
const longest = [
  "test/chaos/chaos.full",
  "test/src/e2e/cli",
  "test/src/e2e/rebuild.full",
  "packages/fleet/test/recovery.full",
  "test/src/e2e/shutdown.full",
  "test/src/e2e/autoscale.full",
  "packages/fleet/test/retention.full",
  "apps/cli/test/up.",
  "apps/cli/test/commands",
  "packages/agents/test/builtin",
];

class LongestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = longest.findIndex((name) => moduleId.includes(name));
      return found < 0 ? longest.length : found;
    };
    return Promise.resolve(files.toSorted((a, b) => place(a) - place(b)));
  }
}

export default defineConfig({
  test: {
    globalSetup: ["packages/testkit/src/global-setup.ts"],
    // These find what hangs. They bound nothing else: a machine that is busy starts a process in seconds.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Most tests wait for processes of their own: one more than there are cores of the smallest machine.
    maxWorkers: 3,
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: "fast", include: [quick], exclude: [...configDefaults.exclude, long] } },
      { extends: true, test: { name: "full", include: [long], testTimeout: 300_000 } },
      { extends: true, test: { name: "failpoints", include: ["test/src/failpoints/every-point.ts"] } },
      { extends: true, test: { name: "machines", include: ["test/chaos/machines.ts"], testTimeout: 300_000 } },
    ],
  },
});
