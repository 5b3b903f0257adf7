import { describeRealRedis, startRedis, until } from "@flotilla/testkit";
import { Redis } from "ioredis";
import { test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";

describeRealRedis("mem", () => {
  test("mem", async () => {
    const redis = await startRedis();
    const client = new Redis(redis.url);
    const fleet = await Fleet.start({ args: onlyProbes(1), env: { REDIS_URL: redis.url } });
    const used = async () => Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
    const run = async (n: number, steps: number, open: boolean) => {
      await new Promise((r) => setTimeout(r, 8000));
      const before = await used();
      const tasks = Array.from({ length: 6 }, (_, k) => ({
        id: `t${k}`,
        agent: "probe",
        input: {
          output: "x".repeat(200),
          steps: Array.from({ length: steps }, () => ({ tool: "pure" })),
          ...(open ? { awaitSignal: "go" } : {}),
        },
      }));
      const plan = { phases: [{ name: "p", parallel: true, tasks }] };
      const ids: string[] = [];
      for (let i = 0; i < n; i += 1)
        ids.push((await fleet.client.submit({ input: { question: "q".repeat(200) }, plan })).id);
      for (const id of ids)
        if (!open) await until(async () => (await fleet.client.get(id)).status === "completed", { timeoutMs: 60_000 });
        else await until(async () => (await fleet.client.get(id)).status === "waiting", { timeoutMs: 60_000 });
      await new Promise((r) => setTimeout(r, 15000));
      const after = await used();
      console.info(`n=${n} steps=${steps} open=${open}: ${Math.round((after - before) / n)} bytes a workflow`);
    };
    await run(50, 0, false);
    await run(300, 0, false);
    await run(300, 5, false);
    await run(300, 0, true);
    await fleet.dispose();
    client.disconnect();
    await redis.stop();
  });
});
