import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

/** The tests that `npm run mutation` runs for every mutant: the rules of the core, one by one. */
export default defineConfig({
  resolve: {
    // Through node_modules the tests would see the sources as they are, and not the mutated copy.
    alias: { "@flotilla/workflow": fileURLToPath(new URL("packages/workflow/src/index.ts", import.meta.url)) },
  },
  test: {
    // The core holds no state, so the files may share one worker and its modules.
    isolate: false,
    include: ["packages/workflow/test/**/*.test.ts"],
    // Thousands of random runs for each mutant would take a day, and whether one is found would be a matter of luck.
    exclude: [...configDefaults.exclude, "**/properties*.test.ts"],
    testNamePattern: /^(?!.*simulated runs)/,
  },
});
