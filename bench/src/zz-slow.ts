import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
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
const names = new Map<string, string>();
const folder = new URL("../../packages/fleet/src/lua/", import.meta.url);
const prelude = readFileSync(new URL("prelude.lua", folder), "utf8");
for (const f of readdirSync(folder))
  names.set(
    createHash("sha1")
      .update(`${prelude}\n${readFileSync(new URL(f, folder), "utf8")}`)
      .digest("hex"),
    f,
  );
const bull = new URL("../../node_modules/bullmq/dist/cjs/scripts/", import.meta.url);
for (const f of readdirSync(bull)) {
  if (!f.endsWith(".js")) continue;
  try {
    const m = await import(new URL(f, bull).href);
    const c =
      m[Object.keys(m)[0]!]?.content ??
      m.default?.[Object.keys(m.default)[0]!]?.content ??
      Object.values(m.default ?? {})
        .map((x: any) => x?.content)
        .find(Boolean);
    if (c) names.set(createHash("sha1").update(c).digest("hex"), f);
  } catch (e) {}
}
const side = process.argv[2] === "raw" ? await RawSide.start(server.url) : await FleetSide.start(server.url, redis);
const N = 500;
await side.run(500, 200);
await redis.config("SET", "slowlog-max-len", "1000000");
await redis.config("SET", "slowlog-log-slower-than", "0");
await redis.slowlog("RESET");
await side.run(N, 200);
await redis.config("SET", "slowlog-log-slower-than", "-1");
const log = (await redis.slowlog("GET", "1000000")) as any[];
const agg = new Map<string, { n: number; us: number }>();
for (const [, , us, args] of log) {
  let k = String(args[0]).toLowerCase();
  if (k === "evalsha" || k === "eval") k = names.get(args[1]) ?? args[1].slice(0, 20);
  const a = agg.get(k) ?? { n: 0, us: 0 };
  a.n++;
  a.us += us;
  agg.set(k, a);
}
let sum = 0;
for (const [k, a] of [...agg].sort((x, y) => y[1].us - x[1].us).slice(0, 25)) {
  sum += a.us;
  console.log(
    k.padEnd(36),
    (a.n / N).toFixed(2).padStart(8),
    (a.us / N).toFixed(1).padStart(8),
    (a.us / a.n).toFixed(1),
  );
}
console.log("sum", sum / N);
await side.stop();
redis.disconnect();
await server.stop();
await rm(dir, { recursive: true, force: true });
