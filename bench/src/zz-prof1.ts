import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedis, spawnRedis } from "@flotilla/redis";
import { Redis } from "ioredis";
import { FleetSide } from "./fleet-side.ts";
import { RawSide } from "./raw-side.ts";
const found = await findRedis({ root: ".flotilla", fetch: true, production: true, say: console.error });
if (found.kind !== "server") throw new Error("x");
const dir = await mkdtemp(join(tmpdir(), "fb-"));
const server = await spawnRedis(found, { dir, port: 0, appendonly: true, appendfsync: "everysec" });
const redis = new Redis(server.url);
const fleet = await FleetSide.start(server.url, redis);
const N = Number(process.argv[2] ?? 2000);

const raw = await RawSide.start(server.url);
await fleet.run(500, 200);
await raw.run(500, 200);
const cpu = async () =>
  Object.fromEntries(
    await Promise.all(
      (fleet as any)
        .processes()
        .map(async (p: any, i: number) => [
          ["api", "sup", "agent"][i],
          Number(/^process_cpu_seconds_total (\S+)/m.exec(await (await fetch(String(p.ready.metricsUrl))).text())![1]),
        ]),
    ),
  );
const rc = async () =>
  [...(await redis.info("cpu")).matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].reduce((s, m) => s + Number(m[1]), 0);
const sums = { f: [] as number[], r: [] as number[] };
for (let i = 0; i < 1; i++) {
  const c0 = await cpu(),
    r0 = await rc(),
    d0 = process.cpuUsage(),
    t0 = performance.now();
  await fleet.run(N, 200);
  const c1 = await cpu(),
    r1 = await rc(),
    d1 = process.cpuUsage(d0),
    t1 = performance.now();
  const parts = Object.fromEntries(
    Object.entries(c1).map(([k, v]) => [k, Math.round((((v as number) - (c0 as any)[k]) / N) * 1e6)]),
  );
  const redisUs = Math.round(((r1 - r0) / N) * 1e6),
    driver = Math.round((d1.user + d1.system) / N);
  const total = redisUs + driver + Object.values(parts).reduce((a, b) => a + b, 0);
  sums.f.push(total);
  console.log("fleet", ((N / (t1 - t0)) * 1000).toFixed(0), "redis", redisUs, parts, "driver", driver, "total", total);
  const rr0 = await rc(),
    n0 = await raw.cpuSeconds(),
    s0 = performance.now();
  await raw.run(N, 200);
  const rr1 = await rc(),
    n1 = await raw.cpuSeconds(),
    s1 = performance.now();
  const rt = Math.round(((rr1 - rr0 + n1 - n0) / N) * 1e6);
  sums.r.push(rt);
  console.log(
    "  raw",
    ((N / (s1 - s0)) * 1000).toFixed(0),
    "redis",
    Math.round(((rr1 - rr0) / N) * 1e6),
    "node",
    Math.round(((n1 - n0) / N) * 1e6),
    "total",
    rt,
    "ratio",
    (rt / total).toFixed(3),
  );
}
const med = (a: number[]) => a.toSorted((x, y) => x - y)[a.length >> 1]!;
console.log("CPU ratio raw/fleet", (med(sums.r) / med(sums.f)).toFixed(3));
await fleet.stop();
await raw.stop();
redis.disconnect();
await server.stop();
await rm(dir, { recursive: true, force: true });
