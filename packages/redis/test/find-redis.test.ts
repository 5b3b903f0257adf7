import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { findRedis, freePort, RedisSetupError, spawnRedis } from "../src/index.ts";
import { probeServers, probeUnpacked } from "../src/probe-server.ts";

const found = inject("redis");
let root: string;
let said: string[];
const say = (line: string) => void said.push(line);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "flotilla-find-"));
  said = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function writeServer(path: string, script: string): Promise<string> {
  const binary = join(root, path);
  await mkdir(join(binary, ".."), { recursive: true });
  await writeFile(binary, `#!/bin/sh\n${script}\n`);
  await chmod(binary, 0o755);
  return binary;
}

test("a valkey-server serves as a redis-server does", async () => {
  const binary = await writeServer("valkey-server", 'echo "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc"');
  expect(await probeServers([binary], say)).toEqual({ kind: "server", binary, version: "8.1.1" });
});

test("a server that is too old, broken, or missing is passed over, and the first two are said", async () => {
  const old = await writeServer("old/redis-server", 'echo "Redis server v=6.0.16 sha=0"');
  const broken = await writeServer("broken/redis-server", "echo 'libx.so: cannot open' >&2; exit 127");
  const missing = join(root, "missing", "redis-server");
  const good = await writeServer("good/redis-server", 'echo "Redis server v=6.2.0 sha=0"');
  expect(await probeServers([old, broken, missing, good], say)).toMatchObject({ binary: good });
  expect(said).toEqual([
    "redis: redis-server 6.0.16 is passed over: 6.2 or later is needed",
    "redis: redis-server does not run here: libx.so: cannot open",
  ]);
});

test("an unpacked server finds the shared libraries that were unpacked with it", async () => {
  await writeServer("usr/lib/some-arch/libx.so.1", "");
  await writeServer(
    "usr/bin/redis-server",
    'echo "Redis server v=7.0.0 $LD_LIBRARY_PATH" >&1; test -n "$LD_LIBRARY_PATH"',
  );
  expect(await probeUnpacked(root, say)).toMatchObject({ libraryPath: join(root, "usr/lib/some-arch") });
});

// Where a server is on PATH it is found before anything else is tried.
const onPath = "server" in found && !found.server.binary.includes("/");

test.skipIf(onPath)("without a server, memory stands in with a warning, and not in production", async () => {
  const search = { root, fetch: false, say };
  expect(await findRedis({ ...search, production: false })).toEqual({ kind: "memory" });
  expect(said.join("\n")).toContain("nothing is durable");
  await expect(findRedis({ ...search, production: true })).rejects.toMatchObject({ code: "redis-missing" });
});

test("a REDIS_URL that answers is used, whatever else is here", async () => {
  const redis = await spawnRedis({ kind: "memory" }, { dir: root, port: 0, appendonly: false, appendfsync: "no" });
  const search = { redisUrl: redis.url, root, fetch: false, production: true, say };
  expect(await findRedis(search)).toEqual({ kind: "url", url: redis.url });
  await redis.stop();
});

test("a REDIS_URL that does not answer is an error that names it without its password", async () => {
  const redisUrl = `redis://user:secret@127.0.0.1:${await freePort()}`;
  const error = await findRedis({ redisUrl, root, fetch: true, production: false, say }).catch(
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(RedisSetupError);
  expect(error).toMatchObject({ code: "redis-unreachable", message: expect.stringContaining("ECONNREFUSED") });
  expect(String(error)).not.toContain("secret");
});

test("a REDIS_URL where somebody listens and says nothing is an error within 5 s", async () => {
  const silent = createServer(() => {});
  const port = await freePort();
  await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
  const search = { redisUrl: `redis://127.0.0.1:${port}`, root, fetch: false, production: false, say };
  await expect(findRedis(search)).rejects.toMatchObject({ code: "redis-unreachable" });
  silent.close();
}, 5000);
