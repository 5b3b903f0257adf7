import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRedis, spawnRedis } from "@flotilla/redis";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
const found = await findRedis({ root: ".flotilla", fetch: true, production: true, say: console.error });
if (found.kind !== "server") throw new Error("x");
const dir = await mkdtemp(join(tmpdir(), "fb-"));
const server = await spawnRedis(found, { dir, port: 0, appendonly: true, appendfsync: "everysec" });
const mk = (cork: boolean) => {
  const r = new Redis(server.url, {
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
    commandTimeout: 5000,
  });
  if (cork)
    r.on("connect", () => {
      const st = (r as any).stream;
      const w = st.write.bind(st);
      let c = false;
      st.write = (...a: any[]) => {
        if (!c) {
          c = true;
          st.cork();
          process.nextTick(() => {
            c = false;
            st.uncork();
          });
        }
        return w(...a);
      };
    });
  return r;
};
const red = new Redis(server.url);
const rc = async () =>
  [...(await red.info("cpu")).matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].reduce((s, m) => s + Number(m[1]), 0);
let n = 0;
async function go(name: string, cork: boolean, how: (q: Queue, jobs: any[]) => Promise<unknown>, size: number) {
  const c = mk(cork);
  const q = new Queue("q" + n++, {
    connection: c,
    prefix: "{q}",
    skipVersionCheck: true,
    skipWaitingForReady: true,
    streams: { events: { maxLen: 100 } },
  });
  let k = 0;
  const jobs = () =>
    Array.from({ length: size }, () => ({
      name: "task",
      data: { workflowId: "wf_00_aaaaaaaaaaaaaaaaaaaaaaaaaa", taskId: "research-1", attempt: 1, dispatch: 1 },
      opts: {
        jobId: "wf_00_aaaaaaaaaaaaaaaaaaaaaaaaaa.task." + k++,
        priority: 3,
        attempts: 1,
        removeOnComplete: true,
        removeOnFail: { count: 1000 },
      },
    }));
  for (let i = 0; i < 300; i++) await how(q, jobs());
  const r0 = await rc(),
    d0 = process.cpuUsage();
  const N = 6000;
  for (let i = 0; i < N; i += size) await how(q, jobs());
  const d = process.cpuUsage(d0),
    r = (await rc()) - r0;
  console.log(name.padEnd(30), "node", ((d.user + d.system) / N).toFixed(1), "redis", ((r / N) * 1e6).toFixed(1));
  await red.flushall();
  c.disconnect();
}
for (let i = 0; i < 2; i++)
  for (const size of [1, 3, 12]) {
    await go("bulk " + size, false, (q, j) => q.addBulk(j), size);
    await go("bulk cork " + size, true, (q, j) => q.addBulk(j), size);
    await go("adds cork " + size, true, (q, j) => Promise.all(j.map((x) => q.add(x.name, x.data, x.opts))), size);
  }
red.disconnect();
await server.stop();
process.exit(0);
