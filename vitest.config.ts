import { tmpdir } from "node:os";
import { join } from "node:path";
import { configDefaults, defineConfig } from "vitest/config";

const quick = "{apps,packages,bench,test}/**/*.test.ts";
const long = "{apps,packages,bench,test}/**/*.full.test.ts";

export default defineConfig({
  test: {
    globalSetup: ["packages/testkit/src/global-setup.ts"],
    // These find what hangs. They bound nothing else: a machine that is busy starts a process in seconds.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Most tests wait for processes of their own: one more than there are cores of the smallest machine.
    maxWorkers: 3,
    pool: "forks",
    // Loading bullmq, ioredis and fastify anew for each of 160 files took a quarter of the run.
    isolate: false,
    // Tests start hundreds of processes: with what is compiled kept, each costs a third less CPU.
    env: { NODE_COMPILE_CACHE: join(tmpdir(), "flotilla-compile-cache") },
    projects: [
      { extends: true, test: { name: "fast", include: [quick], exclude: [...configDefaults.exclude, long] } },
      { extends: true, test: { name: "full", include: [long], testTimeout: 300_000 } },
      { extends: true, test: { name: "failpoints", include: ["test/src/failpoints/every-point.ts"] } },
      { extends: true, test: { name: "machines", include: ["test/chaos/machines.ts"], testTimeout: 300_000 } },
    ],
  },
});
