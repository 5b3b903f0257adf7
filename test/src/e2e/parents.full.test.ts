import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeRealRedis, until } from "@flotilla/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { flotilla } from "./flotilla.ts";
import { planOf, probe, together } from "./plans.ts";
import { effectsOf, expectDoneOnce, idempotentSteps, submitWork } from "./work.ts";

describeRealRedis("the parent of a fleet", () => {
  let folder: string;
  let fleet: Fleet;
  const start = () =>
    Fleet.start({ dataDir: join(folder, "data"), args: onlyProbes(4), env: { AGENT_CONCURRENCY: "1" } });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-parents-"));
    fleet = await start();
  });
  afterAll(async () => {
    await fleet.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  test(
    "nothing outlives a killed parent, and the next one on its folder goes on with the work",
    { timeout: 180_000 },
    async () => {
      const ids = await submitWork(fleet, 8);
      await until(async () => (await effectsOf(fleet, ids)) > 8);
      const { dataDir, apiKey, operatorKey } = fleet.ready;
      const second = await flotilla(["up", "--json", "--port", "0", "--data-dir", dataDir], { cwd: "/" });
      expect(second).toMatchObject({ code: 78, stdout: "", stderr: expect.stringContaining(dataDir) });

      await fleet.stop("SIGKILL");
      // The promise is 2 s; the rest is for a machine that is busy.
      await until(() => !fleet.leavesAny(), { timeoutMs: 4000, what: "the end of all children" });
      fleet = await start();
      expect(fleet.ready).toMatchObject({ dataDir, apiKey, operatorKey });

      const { id } = await fleet.client.submit(
        planOf(
          together("p", [probe("long", { steps: idempotentSteps(2, 1000), sleepMs: 3000 }, { priority: "critical" })]),
        ),
      );
      for await (const { type } of fleet.client.events(id, { follow: true })) if (type === "task.started") break;
      const { code, tookMs } = await fleet.stop("SIGTERM");
      expect([code, fleet.leavesAny()]).toEqual([0, false]);
      expect(tookMs).toBeLessThan(15_000);

      fleet = await start();
      await expectDoneOnce(fleet, ids);
      expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", result: { attempt: 1 } });
    },
  );
});
