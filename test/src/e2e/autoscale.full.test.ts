import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeRealRedis, until } from "@flotilla/testkit";
import type { Json } from "@flotilla/workflow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { Fleet, onlyProbes } from "./fleet.ts";
import { workspace } from "./flotilla.ts";

const Output = z.object({ claim: z.int(), executedSteps: z.int(), replayedSteps: z.int() });
/** Long enough to be there when the fleet shrinks; the figures of docs/operations/scaling.md are those of 60_000. */
const taskMs = 40_000;
const hpa = join(workspace, "kubernetes/base/agent/hpa.yaml");

describeRealRedis("a local fleet that scales", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-autoscale-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** The autoscaler of kubernetes/ with the windows of minutes made seconds. */
  async function quick(maxReplicas: number, averageValue = 20): Promise<string> {
    const text = (await readFile(hpa, "utf8"))
      .replace("maxReplicas: 10", `maxReplicas: ${maxReplicas}`)
      .replace('averageValue: "20"', `averageValue: "${averageValue}"`)
      .replace("stabilizationWindowSeconds: 300", "stabilizationWindowSeconds: 10")
      .replaceAll("periodSeconds: 15", "periodSeconds: 5")
      .replace("periodSeconds: 60", "periodSeconds: 5");
    const file = join(folder, `hpa-${maxReplicas}.yaml`);
    await writeFile(file, text);
    return file;
  }

  test("a burst makes it grow to its maximum and shrink again, and loses and repeats nothing", async () => {
    const fleet = await Fleet.start({ autoscale: true, args: [...onlyProbes(1), "--hpa", await quick(4)] });
    try {
      const tasks = Array.from({ length: 200 }, (_, n) => ({
        id: `t${n}`,
        agent: "probe",
        input: { steps: [{ tool: "idempotent", sleepMs: 1000 }] },
      }));
      const { id } = await fleet.client.submit({
        input: "a burst",
        plan: { phases: [{ name: "burst", parallel: true, tasks }] },
      });
      await until(() => fleet.pids("agent").length === 4, { timeoutMs: 60_000, what: "four processes" });
      await until(async () => (await fleet.client.get(id)).endedAt !== undefined, { timeoutMs: 120_000 });
      await until(() => fleet.pids("agent").length === 1, { timeoutMs: 120_000, what: "one process" });

      const view = await fleet.client.get(id);
      expect(view.status).toBe("completed");
      expect(view.tasks.filter(({ status, attempt }) => status !== "completed" || attempt !== 1)).toEqual([]);
      const applied = (await fleet.effects()).filter((effect) => effect.applied).map(({ key }) => key);
      expect(applied).toHaveLength(200);
      expect(new Set(applied).size).toBe(200);
      // Up and down once: each process that came went, as it was asked to.
      expect(fleet.changes.filter(({ event }) => event === "start")).toHaveLength(3);
      const exits = fleet.changes.flatMap((change) => (change.event === "exit" ? [change.code] : []));
      expect(exits).toEqual([0, 0, 0]);
    } finally {
      await fleet.dispose();
    }
  });

  test("those without work go first, and what the others have goes on elsewhere without a new attempt", async () => {
    const fleet = await Fleet.start({
      autoscale: true,
      args: [...onlyProbes(1), "--hpa", await quick(3)],
      env: { AGENT_CONCURRENCY: "2" },
    });
    try {
      const submit = async (input: Record<string, Json>) => (await fleet.client.submit({ agent: "probe", input })).id;
      const long = await Promise.all(
        Array.from({ length: 2 }, () => submit({ steps: [{ tool: "idempotent" }], sleepMs: 40_000 })),
      );
      await until(async () => (await fleet.effects().catch(() => [])).length === 2);
      const [first] = fleet.pids("agent");
      const short = await Promise.all(Array.from({ length: 60 }, () => submit({ sleepMs: 200 })));
      await until(() => fleet.pids("agent").length === 3, { timeoutMs: 60_000, what: "three processes" });
      for (const id of short) {
        await until(async () => (await fleet.client.get(id)).status === "completed", { timeoutMs: 60_000 });
      }
      await until(() => fleet.pids("agent").length === 1, { timeoutMs: 60_000, what: "one process" });
      expect(fleet.pids("agent")).toEqual([first]);
      for (const id of long) {
        await until(async () => (await fleet.client.get(id)).status === "completed", { timeoutMs: 90_000 });
        const { result } = await fleet.client.get(id);
        expect(result).toMatchObject({ attempt: 1, claim: 1, pid: first });
      }
    } finally {
      await fleet.dispose();
    }
  });

  test("from ten to two under 50 long tasks, each goes on at its step within 10 s, at the same attempt", async () => {
    const steps = Array.from({ length: taskMs / 2000 }, () => ({ tool: "idempotent", sleepMs: 2000 }));
    const fleet = await Fleet.start({
      autoscale: true,
      args: [...onlyProbes(2), "--hpa", await quick(10, 25)],
      // Two have room for all 50, or it would be the queue that is measured.
      env: { AGENT_CONCURRENCY: "25" },
    });
    try {
      const submit = (input: Record<string, Json>, count: number) => {
        const tasks = Array.from({ length: count }, (_, n) => ({ id: `t${n}`, agent: "probe", input }));
        return fleet.client.submit({ input: "many", plan: { phases: [{ name: "p", parallel: true, tasks }] } });
      };
      // Such a backlog asks for ten workers, and 50 tasks for two.
      const short = await submit({ sleepMs: 12_000 }, 300);
      await until(() => fleet.pids("agent").length === 10, { timeoutMs: 60_000, what: "ten processes" });
      await fleet.client.wait(short.id, { signal: AbortSignal.timeout(90_000) });
      // Ten idle workers share them; a worker with free hands beside busy ones would take them all.
      const { id } = await submit({ steps }, 50);
      await until(() => fleet.pids("agent").length === 2, { timeoutMs: 90_000, what: "two processes" });

      const view = await fleet.client.wait(id, { signal: AbortSignal.timeout(180_000) });
      expect(view.status).toBe("completed");
      const claims = new Map<string, number>();
      const resumedMs: number[] = [];
      const releasedAt = new Map<string, number>();
      for await (const { type, taskId = "", at } of fleet.client.events(id)) {
        if (type === "task.released") releasedAt.set(taskId, Date.parse(at));
        if (type !== "task.started") continue;
        claims.set(taskId, (claims.get(taskId) ?? 0) + 1);
        const since = releasedAt.get(taskId);
        if (since !== undefined) resumedMs.push(Date.parse(at) - since);
        releasedAt.delete(taskId);
      }
      expect(resumedMs.length).toBeGreaterThan(0);
      expect(releasedAt.size).toBe(0);
      expect(Math.max(...resumedMs)).toBeLessThan(10_000);
      for (const task of view.tasks) {
        const output = Output.parse((await fleet.client.task(id, task.id)).output);
        expect([task.id, task.attempt, output.claim]).toEqual([task.id, 1, claims.get(task.id)]);
        expect(output.executedSteps + output.replayedSteps).toBe(steps.length);
        if (output.claim > 1) expect(output.replayedSteps).toBeGreaterThan(0);
      }
      const effects = (await fleet.effects()).filter((effect) => effect.workflowId === id && effect.applied);
      expect(effects).toHaveLength(50 * steps.length);
      expect(new Set(effects.map(({ key }) => key)).size).toBe(effects.length);
      const [most, mean] = [Math.max(...resumedMs), resumedMs.reduce((sum, ms) => sum + ms, 0) / resumedMs.length];
      console.info(`${resumedMs.length} handed back, resumed after ${Math.round(mean)} ms, at most ${most} ms`);
    } finally {
      await fleet.dispose();
    }
  });
});
