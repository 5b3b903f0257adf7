import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bareMachine } from "./bare-machine.ts";
import { type CommandOptions, flotilla } from "./flotilla.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, probes, run, together } from "./plans.ts";

describe("where there is no Redis", () => {
  let folder: string;
  let machine: CommandOptions;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-bare-"));
    machine = await bareMachine(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test(
    "a fleet runs on one in memory, says that nothing is durable, and completes 20 tasks",
    { timeout: 120_000 },
    async () => {
      const fleet = await Fleet.start({ ...machine, dataDir: join(folder, "data"), args: onlyProbes() });
      try {
        expect(fleet.ready.redis).toMatchObject({ kind: "memory", durable: false });
        const fan = together("fan", probes(19, "t", { output: 1, steps: [{ tool: "idempotent" }] }));
        const { view } = await run(
          fleet,
          planOf(fan, together("end", [probe("end", { output: "{{tasks.t18.output.output}}" })])),
        );
        expect(view).toMatchObject({ status: "completed", result: { output: 1 } });
        expect(await fleet.effects()).toHaveLength(19);
        const { code, tookMs, stderr } = await fleet.stop();
        expect(code).toBe(0);
        expect(tookMs).toBeLessThan(15_000);
        expect(stderr).toContain("nothing is durable");
      } finally {
        await fleet.dispose();
      }
    },
  );

  test("production refuses to run, and says what to do", async () => {
    const env = { ...machine.env, NODE_ENV: "production" };
    const said = await flotilla(["up", "--json", "--port", "0", "--data-dir", "production"], { ...machine, env });
    expect(said).toMatchObject({ code: 78, stdout: "", stderr: expect.stringContaining("REDIS_URL") });
  });

  test("doctor warns and says what to do", async () => {
    const said = await flotilla(["doctor", "--data-dir", "none"], machine);
    expect(said).toMatchObject({ code: 0, stdout: expect.stringContaining("redis:fetch") });
  });
});
