import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedis, spawnRedis } from "@flotilla/redis";
import { Redis } from "ioredis";
import { FleetSide } from "./fleet-side.ts";
const found = await findRedis({ root: ".flotilla", fetch: true, production: true, say: console.error });
if (found.kind !== "server") throw new Error("x");
const dir = await mkdtemp(join(tmpdir(), "fb-"));
const server = await spawnRedis(found, { dir, port: 0, appendonly: true, appendfsync: "everysec" });
const redis = new Redis(server.url);
const fleet = await FleetSide.start(server.url, redis);
for (let i = 0; i < 30; i++) await fleet.latency();
const ids = await redis.zrevrange("{s00}:list:bench", 0, 600);
let late = 0;
for (const id of ids) {
  const l = await redis.xrange(`{s00}:wf:${id}:log`, "-", "+");
  for (let i = 1; i < l.length; i++)
    if (l[i]![1][3]!.includes(".scheduled") && i > 5 && l[i]![1][1] !== l[i - 1]![1][1]) late++;
}
console.log("late", late);
const idx = await redis.hgetall(`{s00}:wf:${ids[0]}:index`);
console.log(Object.fromEntries(Object.entries(idx).filter(([k]) => !k.startsWith("spec") && k !== "input")));
const l = await redis.xrange(`{s00}:wf:${ids[0]}:log`, "-", "+");
const a = Number(l[0]![1][1]);
for (const [id, f] of l) console.log(id, Number(f[1]) - a, f[3]!.slice(0, 100));
await fleet.stop();
redis.disconnect();
await server.stop();
await rm(dir, { recursive: true, force: true });
